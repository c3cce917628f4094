//! When certificates end.
//!
//! Reads as much of X.509 (RFC 5280) as says until when a certificate is valid, and nothing else: the
//! TLS library is what checks certificates.

use std::path::Path;

use tvtfleet_bus::peer_certificate::{Shown, shown_by_servers};
use tvtfleet_bus::{ConnectOptions, NatsSettings};
use tvtfleet_proto::model::checkup::{Finding, Level};
use tvtfleet_proto::model::time::UtcMillis;

/// The largest file that is read, in bytes.
const FILE_MAX: u64 = 1024 * 1024;
/// From here on it is time for a new one.
const WARN: i64 = 30 * DAY;
const DAY: i64 = 24 * 60 * 60 * 1000;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Looks at the certificates that the settings name.
pub(super) fn look(config: &NatsSettings, now: UtcMillis) -> Vec<Finding> {
    config
        .ca_file
        .iter()
        .flat_map(|path| of_file(path, now))
        .collect()
}

/// Looks at the certificates that the servers show.
pub(super) async fn look_at_servers(options: &ConnectOptions, now: UtcMillis) -> Vec<Finding> {
    match shown_by_servers(options).await {
        Ok(shown) => shown
            .into_iter()
            .filter_map(|shown| of_server(shown, now))
            .collect(),
        Err(error) => vec![
            Finding::ok("certificate", "", error.to_string())
                .worse(Level::Warn, "look at the servers' addresses"),
        ],
    }
}

/// No finding where a server has no certificate.
fn of_server(shown: Shown, now: UtcMillis) -> Option<Finding> {
    match shown.certificate {
        Ok(None) => None,
        Ok(Some(der)) => Some(judge(&shown.server, not_after(&der), now)),
        Err(reason) => {
            let found = Finding::ok("certificate", &shown.server, format!("not seen: {reason}"));
            let advice = "look at the server, and at its certificate with openssl s_client";
            Some(found.worse(Level::Warn, advice))
        }
    }
}

fn of_file(path: &Path, now: UtcMillis) -> Vec<Finding> {
    let name = path.display().to_string();
    let size = std::fs::metadata(path).map_or(0, |file| file.len());
    let text = std::fs::read_to_string(path)
        .ok()
        .filter(|_| size <= FILE_MAX);
    let Some(text) = text else {
        let found = Finding::ok("certificate", &name, "cannot be read");
        return vec![found.worse(Level::Fail, "look at the file and its mode")];
    };
    ends(&text)
        .into_iter()
        .map(|end| judge(&name, end, now))
        .collect()
}

fn judge(name: &str, end: Option<UtcMillis>, now: UtcMillis) -> Finding {
    let Some(end) = end else {
        let found = Finding::ok("certificate", name, "cannot be understood");
        return found.worse(Level::Warn, "look at it with openssl x509 -text");
    };
    of_end(
        Finding::ok("certificate", name, format!("valid until {end}")),
        end,
        now,
    )
}

/// Judges how long something is still good that ends at `end`.
pub(super) fn of_end(found: Finding, end: UtcMillis, now: UtcMillis) -> Finding {
    match end.millis().saturating_sub(now.millis()) {
        ..=0 => found.worse(Level::Fail, "it has ended: issue a new one"),
        1..WARN => found.worse(Level::Warn, "issue a new one"),
        _ => found,
    }
}

/// The end of each certificate of a PEM file; `None` for one that cannot be understood.
fn ends(pem: &str) -> Vec<Option<UtcMillis>> {
    pem.split(BEGIN)
        .skip(1)
        .map(|rest| {
            let (body, _) = rest.split_once(END)?;
            not_after(&base64(body)?)
        })
        .collect()
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0_u32);
    for letter in text.bytes().filter(|letter| !letter.is_ascii_whitespace()) {
        let value = match letter {
            b'A'..=b'Z' => letter.checked_sub(b'A')?,
            b'a'..=b'z' => letter.checked_sub(b'a')?.checked_add(26)?,
            b'0'..=b'9' => letter.checked_sub(b'0')?.checked_add(52)?,
            b'+' => 62,
            b'/' => 63,
            b'=' => break,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xFF).ok()?);
        }
    }
    Some(bytes)
}

/// The end of a certificate in DER: certificate { tbs { `[0]` version, serial, algorithm, issuer,
/// validity { notBefore, notAfter } ... } ... }.
fn not_after(der: &[u8]) -> Option<UtcMillis> {
    let (_, certificate, _) = element(der)?;
    let (_, tbs, _) = element(certificate)?;
    let (first, _, mut rest) = element(tbs)?;
    // The version is left out where it is the first; then this was the serial number already.
    let before_validity = if first == 0xA0 { 3 } else { 2 };
    for _ in 0..before_validity {
        (_, _, rest) = element(rest)?;
    }
    let (_, validity, _) = element(rest)?;
    let (_, _, after) = element(validity)?;
    let (tag, time, _) = element(after)?;
    let text = std::str::from_utf8(time).ok()?;
    // UTCTime has two digits for the year; those below 50 are of this century (RFC 5280, 4.1.2.5.1).
    let (year, rest) = match tag {
        0x17 => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            (year + if year < 50 { 2000 } else { 1900 }, rest)
        }
        0x18 => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at.checked_add(2)?);
    let (month, day) = (part(0)?, part(2)?);
    let (hour, minute, second) = (part(4)?, part(6)?, part(8)?);
    format!("{year:04}-{month}-{day}T{hour}:{minute}:{second}Z")
        .parse()
        .ok()
}

/// Tag, content and what follows of the first element.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = if *length < 0x80 {
        (usize::from(*length), rest)
    } else {
        let count = usize::from(length & 0x7F);
        let (digits, rest) = rest.split_at_checked(count)?;
        if count > 4 {
            return None;
        }
        let length = digits
            .iter()
            .fold(0_usize, |length, digit| (length << 8) | usize::from(*digit));
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Made with openssl, self-signed, valid from 2026-11-22 to 2027-11-22.
    const PEM: &str = include_str!("certificate-test.pem");

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let found = ends(PEM);
        let end = found[0].unwrap();
        assert!(end.to_string().starts_with("2027-11-22T"), "{end}");
        let before = |days: i64| UtcMillis::new(end.millis() - days * DAY);
        assert_eq!(judge("x", found[0], before(60)).level, Level::Ok);
        assert_eq!(judge("x", found[0], before(20)).level, Level::Warn);
        assert_eq!(judge("x", found[0], before(-1)).level, Level::Fail);
        let cut: String = PEM.chars().take(200).collect();
        assert_eq!(ends(&cut), [None]);
        assert_eq!(ends("no certificate"), []);
    }

    #[test]
    fn what_servers_show_is_judged() {
        let shown = |certificate| Shown {
            server: "tls://a:4222".to_owned(),
            certificate,
        };
        let now = UtcMillis::new(0);
        assert_eq!(of_server(shown(Ok(None)), now), None);
        let (body, _) = PEM.split_once(BEGIN).unwrap().1.split_once(END).unwrap();
        let found = of_server(shown(Ok(base64(body))), now).unwrap();
        assert_eq!(
            (found.level, found.subject.as_str()),
            (Level::Ok, "tls://a:4222")
        );
        let silent = of_server(shown(Err("refused".to_owned())), now).unwrap();
        assert_eq!(silent.level, Level::Warn);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = not_after(&bytes);
        }
    }
}
