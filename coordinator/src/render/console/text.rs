//! Making outside text harmless, and fitting it into columns.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Shows as escapes what would steer a terminal or hide text: control characters, line and
/// paragraph separators, and the marks that turn the direction of writing.
#[must_use]
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ if is_harmful(character) => {
                let number = u32::from(character);
                let escape = if number < 0x100 {
                    write!(shown, "\\x{number:02x}")
                } else {
                    write!(shown, "\\u{number:04x}")
                };
                debug_assert!(escape.is_ok(), "a string takes everything");
            }
            _ => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
        )
}

/// The text with blanks up to `width` cells; longer text is left as it is.
pub(crate) fn padded(text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(text.width());
    format!("{text}{:blanks$}", "")
}

/// As much of the text as fits into `width` cells.
pub(crate) fn cut(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (at, character) in text.char_indices() {
        used += character.width().unwrap_or(0);
        if used > width {
            return text.split_at(at).0;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_cells() {
        assert_eq!(padded("入口", 6), "入口  ");
        assert_eq!(padded("abc", 2), "abc");
        assert_eq!(cut("入口x", 4), "入口");
        assert_eq!(cut("入口x", 3), "入");
        assert_eq!(cut("e\u{301}a", 1), "e\u{301}");
    }

    #[test]
    fn plain_text_is_not_touched() {
        assert!(matches!(harmless("Büro 入口 'x'"), Cow::Borrowed(_)));
        assert_eq!(harmless("a\u{1b}[0m\u{202e}\n"), "a\\x1b[0m\\u202e\\n");
    }
}
