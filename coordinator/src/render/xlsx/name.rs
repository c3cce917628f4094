//! File names of workbooks.

use std::collections::BTreeSet;

/// The most bytes of a name without its ending; file systems allow 255 with everything.
const STEM_MAX: usize = 200;
/// What stands in for a site without name.
const NAMELESS: &str = "Unknown Site";
/// Names that Windows keeps for devices, in upper case.
const RESERVED: [&str; 22] = [
    "CON", "PRN", "AUX", "NUL", "COM1", "COM2", "COM3", "COM4", "COM5", "COM6", "COM7", "COM8",
    "COM9", "LPT1", "LPT2", "LPT3", "LPT4", "LPT5", "LPT6", "LPT7", "LPT8", "LPT9",
];

/// Gives every site of a run a file name of its own.
///
/// Names are given in the order asked; two that differ only in case count as one, because some file
/// systems see them so.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// The name for a site, without `.xlsx`: pytvt's rule, then ` (2)`, ` (3)` where it is taken.
    pub(super) fn stem(&mut self, site: &str) -> String {
        let base = stem(site);
        let mut candidate = base.clone();
        let mut number = 2_u32;
        while !self.taken.insert(candidate.to_lowercase()) {
            candidate = format!("{base} ({number})");
            number = number.saturating_add(1);
        }
        candidate
    }
}

/// How a site is called in messages.
pub(super) fn shown_site(site: &str) -> &str {
    if site.is_empty() { NAMELESS } else { site }
}

/// Letters, digits and ` -_#()` stay, everything else becomes `_`; so no name leaves its folder.
///
/// Differs from pytvt where that is of no use to anybody: a blank site is nameless too, accents that
/// are characters of their own stay, over-long names are cut, and Windows' device names get a `_`.
fn stem(site: &str) -> String {
    let kept: String = site
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || " -_#()".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let mut stem = String::new();
    for character in kept.trim().chars() {
        if stem.len() + character.len_utf8() > STEM_MAX {
            break;
        }
        stem.push(character);
    }
    stem.truncate(stem.trim_end().len());
    if stem.is_empty() {
        return NAMELESS.to_owned();
    }
    if RESERVED.contains(&stem.to_uppercase().as_str()) {
        stem.push('_');
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_follow_pytvts_rule() {
        let cases = [
            ("HQ / Tower 1", "HQ _ Tower 1"),
            ("a.b", "a_b"),
            ("入口 Süd", "入口 Süd"),
            ("Kirkwall #2 (North)", "Kirkwall #2 (North)"),
            ("", "Unknown Site"),
            ("   ", "Unknown Site"),
            ("../../etc/passwd", "______etc_passwd"),
            ("con", "con_"),
        ];
        for (site, expected) in cases {
            assert_eq!(stem(site), expected, "{site:?}");
        }
    }

    #[test]
    fn two_sites_never_share_a_file() {
        let mut names = Names::default();
        let stems: Vec<String> = ["A/B", "A_B", "a_b", "A_B (2)"]
            .iter()
            .map(|site| names.stem(site))
            .collect();
        assert_eq!(stems, ["A_B", "A_B (2)", "a_b (3)", "A_B (2) (2)"]);
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_folder(site in any::<String>()) {
            let stem = stem(&site);
            prop_assert!(!stem.is_empty() && stem.len() <= STEM_MAX + 1);
            prop_assert!(!stem.contains(['/', '\\', '\0', '.', ':']), "{}", stem);
            let path = std::path::Path::new(&stem);
            prop_assert_eq!(path.components().count(), 1);
        }
    }
}
