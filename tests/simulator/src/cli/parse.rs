//! Values of options.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a time: a number with `ms`, `s` or `m`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time; try 20ms, 2s or 1m");
    let unit = text
        .find(|letter: char| !letter.is_ascii_digit())
        .ok_or_else(wrong)?;
    let (number, unit) = text.split_at_checked(unit).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(factor)
        .map(Duration::from_millis)
        .ok_or_else(wrong)
}

/// Reads one of the names that a JSON document would have.
pub(super) fn named<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(Value::String(text.to_owned())).map_err(|error| error.to_string())
}

/// Reads `NAME=COUNT`.
pub(super) fn counted<T: DeserializeOwned>(text: &str) -> Result<(T, usize), String> {
    let (name, count) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not KIND=COUNT"))?;
    let count = count
        .parse()
        .map_err(|_| format!("{count:?} is no count"))?;
    Ok((named(name)?, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_need_a_unit() {
        assert_eq!(time("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(time("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(time("1m"), Ok(Duration::from_secs(60)));
        for wrong in [
            "20",
            "ms",
            "-1s",
            "1h",
            "99999999999999999999s",
            "18446744073709551615m",
        ] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn counts_follow_a_known_name() {
        let read = counted::<tvt_sim::Broken>;
        assert_eq!(read("absent=2"), Ok((tvt_sim::Broken::Absent, 2)));
        for wrong in ["absent", "absent=", "absent=x", "purple=1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
