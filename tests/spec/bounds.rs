//! The table of bounds in CONTRIBUTING.md says what the code says.

use std::fs;
use std::path::Path;

#[test]
fn the_table_of_bounds_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let (_, table) = text.split_once("## Bounds").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'))
        .map(|line| line.split('`').skip(1).step_by(2).collect())
        .collect();
    assert!(rows.len() >= 30, "only {} rows", rows.len());
    for row in rows {
        let [file, name, value] = row[..] else {
            panic!("{row:?}")
        };
        let code = fs::read_to_string(root.join(file)).unwrap_or_else(|_| panic!("{file}"));
        let found = code.lines().any(|line| {
            let line = line.trim_start().trim_start_matches("pub ");
            let line = line
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("pub(super) ");
            line.strip_prefix("const ")
                .and_then(|line| {
                    line.strip_prefix(name)?
                        .strip_prefix(": ")?
                        .split_once(" = ")
                })
                .is_some_and(|(_, found)| found.trim_end_matches(';') == value)
        });
        assert!(found, "{file} has no {name} of {value}");
    }
}
