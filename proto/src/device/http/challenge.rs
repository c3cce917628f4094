//! `WWW-Authenticate`, with one or several challenges in one or several headers.

use std::collections::BTreeMap;

use super::digest::DigestChallenge;

/// Bytes of headers that are looked at.
const HEADER_MAX: usize = 8192;
/// Parameters of one challenge.
const PARAMETERS_MAX: usize = 32;

/// One challenge: a scheme with its parameters, names in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme, in lower case.
    pub scheme: String,
    /// The parameters; the first of a name counts.
    pub parameters: BTreeMap<String, String>,
}

/// How a credential will be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// A proof.
    Digest(DigestChallenge),
    /// The password itself.
    Basic,
}

/// Reads every challenge of the headers given. What cannot be read ends the header it stands in.
#[must_use]
pub fn challenges<'a>(headers: impl IntoIterator<Item = &'a str>) -> Vec<Challenge> {
    let mut found = Vec::new();
    for header in headers {
        let mut rest = header.get(..HEADER_MAX).unwrap_or(header).trim_start();
        while let Some((challenge, after)) = one(rest) {
            found.push(challenge);
            rest = after;
        }
    }
    found
}

/// The strongest scheme that is understood: Digest with SHA-256, Digest with MD5, Basic.
#[must_use]
pub fn strongest(challenges: &[Challenge]) -> Option<Scheme> {
    let digest = challenges
        .iter()
        .filter(|challenge| challenge.scheme == "digest")
        .filter_map(|challenge| DigestChallenge::of(&challenge.parameters))
        .max_by_key(|challenge| challenge.algorithm);
    digest.map(Scheme::Digest).or_else(|| {
        challenges
            .iter()
            .any(|challenge| challenge.scheme == "basic")
            .then_some(Scheme::Basic)
    })
}

/// A challenge from the start of a text, and what follows it.
fn one(text: &str) -> Option<(Challenge, &str)> {
    let text = text.trim_start_matches([' ', ',', '\t']);
    let (scheme, mut rest) = token(text)?;
    let mut challenge = Challenge {
        scheme: scheme.to_ascii_lowercase(),
        parameters: BTreeMap::new(),
    };
    for _ in 0..PARAMETERS_MAX {
        let at = rest.trim_start_matches([' ', ',', '\t']);
        // A word without `=` is the next scheme.
        let Some((name, after)) = token(at) else {
            return Some((challenge, ""));
        };
        let Some(after) = after.trim_start().strip_prefix('=') else {
            return Some((challenge, at));
        };
        let (value, after) = value(after.trim_start())?;
        challenge
            .parameters
            .entry(name.to_ascii_lowercase())
            .or_insert(value);
        rest = after;
    }
    Some((challenge, ""))
}

fn token(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|letter: char| {
            !(letter.is_ascii_alphanumeric() || "-_.!#$%&'*+^`|~".contains(letter))
        })
        .unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return Some((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(letters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::http::Algorithm;
    use proptest::prelude::*;

    #[test]
    fn several_challenges_stand_in_one_header() {
        let found = challenges([
            "Basic realm=\"a, b\", Digest realm=\"x\", nonce=\"n\\\"1\", qop=\"auth-int, auth\"",
            "Digest realm=\"x\", nonce=\"k\", algorithm=SHA-256, qop=auth",
        ]);
        let schemes: Vec<&str> = found.iter().map(|one| one.scheme.as_str()).collect();
        assert_eq!(schemes, ["basic", "digest", "digest"]);
        assert_eq!(found[0].parameters["realm"], "a, b");
        assert_eq!(found[1].parameters["nonce"], "n\"1");
        let Some(Scheme::Digest(best)) = strongest(&found) else {
            panic!("no digest");
        };
        assert_eq!(
            (best.algorithm, best.nonce.as_str()),
            (Algorithm::Sha256, "k")
        );
    }

    #[test]
    fn basic_is_taken_only_where_nothing_else_is_understood() {
        let only = challenges(["Basic realm=\"device\""]);
        assert_eq!(strongest(&only), Some(Scheme::Basic));
        let unknown = challenges(["Digest realm=\"x\", nonce=\"n\", algorithm=MD4"]);
        assert_eq!(strongest(&unknown), None);
        assert_eq!(strongest(&challenges(["Negotiate"])), None);
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_panic(header in "[A-Za-z \"=,\\\\é]{0,60}") {
            let _ = strongest(&challenges([header.as_str()]));
        }
    }
}
