//! Bytes written in hexadecimal: plain digits, the dumps of `xxd`, `hexdump -C` and Wireshark.

use tvtfleet_proto::device::tvt::explain::Sender;

/// One run of bytes with its sender, where a line named it.
pub(super) type Run = (Option<Sender>, Vec<u8>);

/// Digits of the offset in front of a dump's line, at least.
const OFFSET_DIGITS: usize = 4;
/// Digits of the line that ends the dump of `hexdump -C`.
const OFFSET_ALONE: usize = 8;
/// Bytes of a dump's line, at most.
const LINE_BYTES: usize = 32;

/// Reads a text. Lines that begin with `<` are the device's, those with `>` the client's; the last
/// line of `hexdump -C`, an offset alone, is none of the bytes.
///
/// # Errors
///
/// The number of the first line that is no hexadecimal.
pub(super) fn parse(text: &str) -> Result<Vec<Run>, usize> {
    let mut runs: Vec<Run> = Vec::new();
    let mut in_dump = false;
    for (number, line) in (1_usize..).zip(text.lines()) {
        let line = line.trim();
        let (sender, digits) = match line.chars().next() {
            Some('<') => (Some(Sender::Device), line.get(1..).unwrap_or_default()),
            Some('>') => (Some(Sender::Client), line.get(1..).unwrap_or_default()),
            Some('#') | None => continue,
            Some(_) => (None, line),
        };
        let digits = digits.trim();
        let so_far = runs.last().map_or(0, |(_, run)| run.len());
        let bytes = match dump_line(digits, so_far) {
            Some(bytes) => {
                in_dump = true;
                bytes
            }
            None if in_dump && digits.len() == OFFSET_ALONE => Vec::new(),
            None => pairs(digits).ok_or(number)?,
        };
        match runs.last_mut() {
            // A line without a mark goes on with the one above.
            Some((last, run)) if sender.is_none() || sender == *last => run.extend(bytes),
            Some(_) | None => runs.push((sender, bytes)),
        }
    }
    runs.retain(|(_, bytes)| !bytes.is_empty());
    Ok(runs)
}

/// A line of a dump: an offset, then groups of digits, then perhaps the characters. An offset without
/// a colon counts only if it is the number of bytes above the line: it could be data otherwise.
fn dump_line(line: &str, so_far: usize) -> Option<Vec<u8>> {
    let (offset, rest) = line.split_once([' ', '\t', ':'])?;
    let is_offset = offset.len() >= OFFSET_DIGITS
        && offset.len() <= 16
        && offset.bytes().all(|byte| byte.is_ascii_hexdigit());
    let counts = usize::from_str_radix(offset, 16) == Ok(so_far);
    let is_marked = line.get(offset.len()..).is_some_and(|rest| {
        rest.starts_with(": ") || (counts && (rest.starts_with("  ") || rest.starts_with('\t')))
    });
    if !is_offset || !is_marked {
        return None;
    }
    // The characters stand behind a bar or at least two blanks.
    let rest = rest.trim_start_matches(':').trim_start();
    let mut bytes = Vec::new();
    let mut blanks = 0_usize;
    let mut word = String::new();
    for character in rest.chars().chain([' ']) {
        if character == '|' {
            break;
        }
        if character != ' ' {
            // hexdump -C has two blanks in the middle of a line.
            if blanks > 1 && bytes.len() != 8 {
                break;
            }
            blanks = 0;
            word.push(character);
            continue;
        }
        blanks = blanks.saturating_add(1);
        if word.is_empty() {
            continue;
        }
        match pairs(&word) {
            Some(more) if bytes.len().saturating_add(more.len()) <= LINE_BYTES => {
                bytes.extend(more)
            }
            Some(_) | None => break,
        }
        word.clear();
    }
    Some(bytes)
}

/// Digits in pairs; white space, `:`, `-`, `,` and `0x` between them are skipped.
fn pairs(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    for word in text.split([' ', '\t', ':', '-', ',']) {
        let word = word.strip_prefix("0x").unwrap_or(word);
        let mut digits = word.bytes();
        while let Some(high) = digits.next() {
            let low = digits.next()?;
            bytes.push(nibble(high)? << 4 | nibble(low)?);
        }
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_of_common_tools_are_read() {
        let bytes = b"head\x01\x00\x00\x001111\x00\x00\x00\x00ABCD".to_vec();
        let texts = [
            "6865616401000000313131310000000041424344",
            "68 65 61 64 01 00 00 00 31 31 31 31 00 00 00 00\n41 42 43 44",
            "68:65:61:64:01:00:00:00:31:31:31:31:00:00:00:00:41:42:43:44",
            "68656164  01000000  31313131  00000000\n41424344",
            "0x68, 0x65, 0x61, 0x64 0x01000000 3131 3131 00000000 41424344",
            "00000000: 6865 6164 0100 0000 3131 3131 0000 0000  head....1111....\n\
             00000010: 4142 4344                                ABCD",
            "00000000  68 65 61 64 01 00 00 00  31 31 31 31 00 00 00 00  |head....1111....|\n\
             00000010  41 42 43 44                                       |ABCD|\n00000014",
            "0000   68 65 61 64 01 00 00 00 31 31 31 31 00 00 00 00   head....1111....\n\
             0010   41 42 43 44                                       ABCD",
        ];
        for text in texts {
            assert_eq!(parse(text), Ok(vec![(None, bytes.clone())]), "{text}");
        }
    }

    #[test]
    fn marks_name_the_sender() {
        let runs = parse("# a comment\n< 6865\n6164\n> 3131\n> 3131\n< 00\n").unwrap();
        let expected = [
            (Some(Sender::Device), b"head".to_vec()),
            (Some(Sender::Client), b"1111".to_vec()),
            (Some(Sender::Device), vec![0]),
        ];
        assert_eq!(runs, expected);
    }

    #[test]
    fn other_text_is_refused_with_its_line() {
        assert_eq!(parse("6865\nxyz\n"), Err(2));
        assert_eq!(parse("686"), Err(1));
        assert_eq!(parse("é"), Err(1));
        assert_eq!(parse("\n \n"), Ok(Vec::new()));
    }
}
