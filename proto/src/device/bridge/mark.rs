//! Finding a script's answer in what it and the vendor's library print.

const START: &str = "___JSON_START___";
const END: &str = "___JSON_END___";

/// A script printed no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("No JSON markers in output")]
pub struct NoPayload;

/// The answer between the two markers.
///
/// The last start marker on a line of its own counts, with the first end marker line after it: what
/// the library prints between may hold markers too. Where no such lines exist, the first start marker
/// and the first end marker after it count, wherever they stand.
///
/// # Errors
///
/// [`NoPayload`].
pub fn payload(output: &str) -> Result<&str, NoPayload> {
    on_lines(output)
        .or_else(|| anywhere(output))
        .ok_or(NoPayload)
}

fn on_lines(output: &str) -> Option<&str> {
    let mut at = 0;
    let mut start = None;
    let mut found = None;
    for line in output.split_inclusive('\n') {
        let end = at + line.len();
        match line.trim() {
            START => start = Some(end),
            END => {
                if let Some(start) = start.take() {
                    found = output.get(start..at);
                }
            }
            _ => {}
        }
        at = end;
    }
    found.map(str::trim)
}

fn anywhere(output: &str) -> Option<&str> {
    let (_, rest) = output.split_once(START)?;
    let (payload, _) = rest.split_once(END)?;
    Some(payload.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn noise_with_markers_does_not_win() {
        for (output, expected) in [
            ("___JSON_START___\n{}\n___JSON_END___\n", Ok("{}")),
            (
                "noise\r\n___JSON_START___\r\n{\"a\":1}\r\n___JSON_END___\r\nmore",
                Ok("{\"a\":1}"),
            ),
            (
                "x ___JSON_START___ fake ___JSON_END___\n___JSON_START___\n{}\n___JSON_END___",
                Ok("{}"),
            ),
            (
                "___JSON_START___\n1\n___JSON_END___\n___JSON_START___\n2\n___JSON_END___\n",
                Ok("2"),
            ),
            ("___JSON_START___ {} ___JSON_END___", Ok("{}")),
            ("___JSON_END___\n___JSON_START___\n{}", Err(NoPayload)),
            ("___JSON_START___\n{}", Err(NoPayload)),
            ("", Err(NoPayload)),
        ] {
            assert_eq!(payload(output), expected, "{output:?}");
        }
    }

    proptest! {
        #[test]
        fn a_payload_is_found_in_any_noise(before in "[a-z_\n]{0,40}", after in "[a-z_\n]{0,40}") {
            let output = format!("{before}\n{START}\n{{}}\n{END}\n{after}");
            prop_assert_eq!(payload(&output), Ok("{}"));
        }
    }
}
