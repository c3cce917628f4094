//! File names that stay in their folder and never meet.

use std::collections::BTreeSet;

/// Bytes of one part of a name; what is longer is cut.
const PART_MAX: usize = 60;

/// The names given out for one folder.
#[derive(Debug, Default)]
pub struct Names {
    /// In lower case: some disks take upper and lower case for the same.
    taken: BTreeSet<String>,
}

impl Names {
    /// A name of these parts that was not given out before: `site_host_ch3_name.jpg`. Letters and
    /// digits of any script, `-` and inner dots stay as they are, everything else becomes `_`.
    pub fn next(&mut self, parts: &[&str], ending: &str) -> String {
        let clean: Vec<String> = parts
            .iter()
            .filter(|part| !part.trim().is_empty())
            .map(|part| cleaned(part))
            .collect();
        let stem = clean.join("_");
        let mut name = format!("{stem}.{ending}");
        let mut number = 2_u32;
        while !self.taken.insert(name.to_lowercase()) {
            name = format!("{stem}-{number}.{ending}");
            number = number.saturating_add(1);
        }
        name
    }
}

fn cleaned(part: &str) -> String {
    let mut text = String::new();
    for letter in part.trim().chars() {
        let inner_dot = letter == '.' && !text.is_empty() && !text.ends_with('.');
        let safe = letter.is_alphanumeric() || letter == '-' || inner_dot;
        if text.len() + letter.len_utf8() > PART_MAX {
            break;
        }
        text.push(if safe { letter } else { '_' });
    }
    while text.ends_with('.') {
        text.pop();
    }
    if text.is_empty() {
        "_".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_say_what_they_are_of() {
        let mut names = Names::default();
        let mut next = |parts: &[&str]| names.next(parts, "jpg");
        assert_eq!(
            next(&["Depot", "10.0.0.9", "ch3", "Gate 1/2"]),
            "Depot_10.0.0.9_ch3_Gate_1_2.jpg"
        );
        assert_eq!(next(&["", "10.0.0.9", "ch3"]), "10.0.0.9_ch3.jpg");
        assert_eq!(next(&["", "10.0.0.9", "CH3"]), "10.0.0.9_CH3-2.jpg");
        assert_eq!(
            next(&["Kühlhaus", "2001:db8::1", "ch1"]),
            "Kühlhaus_2001_db8__1_ch1.jpg"
        );
        assert_eq!(next(&["../..", "/etc", "ch1"]), "_._.___etc_ch1.jpg");
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_folder_or_meets_another(
            parts in proptest::collection::vec(".{0,90}", 1..5), again in 1_usize..4,
        ) {
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            let mut names = Names::default();
            let mut seen = BTreeSet::new();
            for _ in 0..again {
                let name = names.next(&parts, "jpg");
                prop_assert!(!name.contains(['/', '\\', '\0', ':']) && !name.starts_with("..jpg"));
                prop_assert!(!name.split('_').any(|part| part == ".."), "{name}");
                prop_assert!(std::path::Path::new(&name).components().count() == 1);
                prop_assert!(!name.chars().any(char::is_control) && name.len() < 300);
                prop_assert!(seen.insert(name.to_lowercase()));
            }
        }
    }
}
