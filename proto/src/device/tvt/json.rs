//! Reading JSON from a device within bounds on depth and number of values.

use serde_json::Value;

use super::limits::{JSON_DEPTH, JSON_VALUES};

/// Why a document was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum JsonFault {
    #[error("the JSON nests deeper than {JSON_DEPTH} levels")]
    Deep,
    #[error("the JSON has more than {JSON_VALUES} values")]
    Large,
    #[error("the JSON cannot be parsed")]
    Malformed,
}

/// Reads a document. Invalid UTF-8 is replaced.
pub(super) fn read(bytes: &[u8]) -> Result<Value, JsonFault> {
    check_bounds(bytes)?;
    let text = String::from_utf8_lossy(bytes);
    serde_json::from_str(&text).map_err(|_| JsonFault::Malformed)
}

/// Values that an array or object of any size counts as: its first allocation has room for four.
const CONTAINER: usize = 4;

/// Counts brackets and separators outside of strings, before anything is allocated for a value.
fn check_bounds(bytes: &[u8]) -> Result<(), JsonFault> {
    let (mut depth, mut values) = (0_usize, 1_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in bytes {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth = depth.saturating_add(1);
                values = values.saturating_add(CONTAINER);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => values = values.saturating_add(1),
            _ => {}
        }
        if depth > JSON_DEPTH {
            return Err(JsonFault::Deep);
        }
        if values > JSON_VALUES {
            return Err(JsonFault::Large);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_and_size_are_bounded_before_parsing() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(read(nested(JSON_DEPTH).as_bytes()).is_ok());
        assert_eq!(
            read(nested(JSON_DEPTH + 1).as_bytes()),
            Err(JsonFault::Deep)
        );
        assert_eq!(read(nested(200_000).as_bytes()), Err(JsonFault::Deep));
        let wide = format!("[0{}]", ",0".repeat(JSON_VALUES));
        assert_eq!(read(wide.as_bytes()), Err(JsonFault::Large));
        let fine = format!("[0{}]", ",0".repeat(JSON_VALUES - CONTAINER - 1));
        assert!(read(fine.as_bytes()).is_ok());
        let empty = format!("[[]{}]", ",[]".repeat(JSON_VALUES / CONTAINER));
        assert_eq!(read(empty.as_bytes()), Err(JsonFault::Large));
        assert_eq!(read(b"{\"a\":"), Err(JsonFault::Malformed));
    }

    #[test]
    fn brackets_in_strings_are_text() {
        let text = format!("[\"{}\\\"{}\"]", "[".repeat(100), ",".repeat(100_000));
        assert!(read(text.as_bytes()).is_ok());
    }

    #[test]
    fn invalid_utf8_is_replaced() {
        assert_eq!(
            read(b"\"a\xff\"").unwrap(),
            Value::String("a\u{fffd}".into())
        );
    }
}
