//! Values of settings, read the same way from flags, variables and files.

use std::time::Duration;

use tvtfleet_proto::model::job::MAX_PARALLEL;
use tvtfleet_proto::model::secret::Secret;

/// The longest time that any setting takes: a week.
const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// The shortest: a device on the same desk needs some milliseconds.
const DURATION_MIN: Duration = Duration::from_millis(10);

/// Reads a span of time: seconds, or a number with `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
///
/// A text that is no such span, or one outside 10 ms to 7 d.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split).unwrap_or((text, ""));
    let factor = match unit.trim() {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err("write seconds, or a number with ms, s, m, h or d".into()),
    };
    let seconds = number
        .parse::<f64>()
        .map_err(|_| String::from("write seconds, or a number with ms, s, m, h or d"))?;
    Duration::try_from_secs_f64(seconds * factor)
        .ok()
        .filter(|span| (DURATION_MIN..=DURATION_MAX).contains(span))
        .ok_or_else(|| "the time must lie between 10 ms and 7 d".into())
}

/// Takes a text that must not be shown.
///
/// # Errors
///
/// None; the signature is that of a parser.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature of a clap value parser"
)]
pub(crate) fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text))
}

/// Reads a number of channels, 1 to 1024.
///
/// # Errors
///
/// Any other text.
pub(crate) fn channels(text: &str) -> Result<u32, String> {
    let number = text.trim().parse::<u32>().ok();
    number
        .filter(|number| (1..=1024).contains(number))
        .ok_or_else(|| "write a number of channels, 1 to 1024".into())
}

/// Reads a TCP port, 1 to 65535.
///
/// # Errors
///
/// Any other text.
pub(crate) fn port(text: &str) -> Result<u16, String> {
    let port = text.trim().parse::<u16>().ok().filter(|port| *port != 0);
    port.ok_or_else(|| "a port lies between 1 and 65535".into())
}

/// Reads how many devices are asked at a time, 1 to [`MAX_PARALLEL`].
///
/// # Errors
///
/// Any other text.
pub(crate) fn parallel(text: &str) -> Result<u32, String> {
    let count = text
        .trim()
        .parse::<u32>()
        .ok()
        .filter(|count| (1..=MAX_PARALLEL).contains(count));
    count.ok_or_else(|| format!("write a number between 1 and {MAX_PARALLEL}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_and_without_a_unit() {
        for (text, millis) in [
            ("10", 10_000),
            ("1.5", 1500),
            ("250ms", 250),
            ("2m", 120_000),
            ("1 h", 3_600_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "s", "0", "-1", "1x", "8d", "1.2.3", "inf", "1e9", "é"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_have_ranges() {
        assert_eq!(port(" 6036 "), Ok(6036));
        for bad in ["0", "65536", "-1", "6036.9", ""] {
            assert!(port(bad).is_err(), "{bad}");
        }
        assert_eq!(parallel("64"), Ok(64));
        for bad in ["0", "1025", "-1", ""] {
            assert!(parallel(bad).is_err(), "{bad}");
        }
    }
}
