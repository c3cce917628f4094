//! Against files that pytvt 0.5.1 wrote.

use super::*;

fn example(path: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/examples/");
    std::fs::read_to_string(format!("{root}{path}")).unwrap()
}

/// All three outputs for two files of a folder.
fn outputs(old: &str, new: &str, old_name: &str, new_name: &str) -> [String; 3] {
    let old = PytvtScan::parse(old, old_name).unwrap();
    let new = PytvtScan::parse(new, new_name).unwrap();
    let diff = compare(&old, &new);
    let (mut as_text, mut as_json) = (Vec::new(), Vec::new());
    text(&diff, old_name, new_name, &mut as_text).unwrap();
    json(&diff, old_name, new_name, &mut as_json).unwrap();
    [
        String::from_utf8(as_text).unwrap(),
        String::from_utf8(as_json).unwrap(),
        format!("{}\n", summary(&diff)),
    ]
}

#[test]
fn the_three_outputs_are_pytvts_byte_for_byte() {
    for folder in ["diff", "diff-odd"] {
        let file = |name: &str| example(&format!("{folder}/{name}"));
        let [text, json, summary] =
            outputs(&file("old.json"), &file("new.json"), "old.json", "new.json");
        assert_eq!(text, file("diff.txt"), "{folder}");
        assert_eq!(json, file("diff.json"), "{folder}");
        assert_eq!(summary, file("summary.txt"), "{folder}");
    }
}

#[test]
fn equal_and_empty_scans_have_no_changes() {
    let [text, json, summary] = outputs("[]", "[]", "a", "b");
    assert!(text.ends_with("  Changes: none\n================================================================================\n  No changes detected.\n"));
    assert!(json.ends_with("  \"unchanged_count\": 0\n}\n"));
    assert_eq!(summary, "devices: 0 → 0, 0 unchanged\n");
}

#[test]
fn unusable_files_are_refused_in_pytvts_words() {
    let error = |text: &str| PytvtScan::parse(text, "p").unwrap_err().to_string();
    assert_eq!(error("{}"), "Expected a JSON array in p, got dict");
    assert_eq!(error("null"), "Expected a JSON array in p, got NoneType");
    assert_eq!(error("[{}, 5]"), "Entry 1 in p is not an object");
    assert_eq!(
        error(r#"[{"nvr_port": "it's"}]"#),
        "invalid literal for int() with base 10: \"it's\""
    );
    assert_eq!(
        error(r#"[{"cameras": null}]"#),
        "'NoneType' object is not iterable"
    );
    assert!(error("[").starts_with("Invalid JSON in p: "));
}
