//! Comparing two result files.

use calamine::{Reader as _, Xlsx};
use tvtfleet_proto::error::ExitStatus;

use crate::sandbox::Sandbox;

fn example(name: &str) -> String {
    let root = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/vectors/examples/diff/"
    );
    std::fs::read_to_string(format!("{root}{name}")).unwrap()
}

fn sandbox() -> Sandbox {
    Sandbox::new()
        .file("old.json", &example("old.json"))
        .file("new.json", &example("new.json"))
}

#[tokio::test]
async fn pytvts_outputs_are_reproduced_on_request() {
    let sandbox = sandbox();
    for (option, expected) in [
        (None, "diff.txt"),
        (Some("--json"), "diff.json"),
        (Some("--summary"), "summary.txt"),
    ] {
        let arguments: Vec<&str> = ["local", "diff", "old.json", "new.json", "--compat", "pytvt"]
            .into_iter()
            .chain(option)
            .collect();
        let finished = sandbox.run(&arguments).await;
        assert_eq!(finished.status, ExitStatus::Success, "{}", finished.stderr);
        assert_eq!(finished.stdout, example(expected), "{option:?}");
        assert_eq!(finished.stderr, "");
    }
}

#[tokio::test]
async fn the_exit_code_tells_on_request() {
    let sandbox = sandbox();
    for (new, compat, expected) in [
        ("new.json", None, ExitStatus::Differences),
        ("new.json", Some("--compat=pytvt"), ExitStatus::Differences),
        ("old.json", None, ExitStatus::Success),
        ("old.json", Some("--compat=pytvt"), ExitStatus::Success),
    ] {
        // Two files need no server, so the fleet's command does the same.
        for command in [&["local", "diff"][..], &["diff"]] {
            let arguments: Vec<&str> = command
                .iter()
                .copied()
                .chain(["old.json", new, "--summary", "--exit-code"])
                .chain(compat)
                .collect();
            let finished = sandbox.run(&arguments).await;
            assert_eq!(
                finished.status, expected,
                "{arguments:?}: {}",
                finished.stderr
            );
        }
    }
}

#[tokio::test]
async fn each_form_is_written_to_stdout() {
    let sandbox = sandbox();
    let run = async |option| {
        sandbox
            .run(&["local", "diff", "old.json", "new.json", option])
            .await
            .stdout
    };
    assert!(run("--json").await.starts_with('{'));
    assert!(run("--csv").await.starts_with("change,site,"));
    assert_eq!(run("--summary").await.lines().count(), 1);
    let refused = sandbox
        .run(&["local", "diff", "old.json", "new.json", "--json", "--csv"])
        .await;
    assert_eq!(refused.status, ExitStatus::Usage);
}

#[tokio::test]
async fn files_that_are_no_results() {
    let sandbox = sandbox()
        .file("inventory.json", r#"[{"ip": "10.0.0.1", "site": "Depot"}]"#)
        .file("broken.json", "[{]");
    let mut shown = String::new();
    for name in ["inventory.json", "broken.json", "missing.json"] {
        let finished = sandbox.run(&["local", "diff", "old.json", name]).await;
        shown.push_str(&format!(
            "$ tvtctl local diff old.json {name}\n{}\n",
            finished.shown()
        ));
    }
    insta::assert_snapshot!(shown);
}

/// Files as people have them: each is read for what it is, or refused with the reason.
#[tokio::test]
async fn files_that_went_through_other_programs() {
    let sandbox = sandbox();
    let new = example("new.json");
    let utf16 = |mark: [u8; 2], unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let units = new.encode_utf16().flat_map(unit);
        mark.into_iter().chain(units).collect()
    };
    let plain = sandbox
        .run(&["diff", "old.json", "new.json", "--csv"])
        .await;
    assert_eq!(plain.status, ExitStatus::Success);
    for (name, bytes) in [
        ("bom.json", [b"\xEF\xBB\xBF", new.as_bytes()].concat()),
        ("utf16le.json", utf16([0xFF, 0xFE], u16::to_le_bytes)),
        ("utf16be.json", utf16([0xFE, 0xFF], u16::to_be_bytes)),
        (
            "wrapped.json",
            format!("{{\"results\": {new}}}").into_bytes(),
        ),
    ] {
        std::fs::write(sandbox.path(name), bytes).unwrap();
        let same = sandbox.run(&["diff", "old.json", name, "--csv"]).await;
        assert_eq!(same.stdout, plain.stdout, "{name}: {}", same.stderr);
    }
    let latin1: Vec<u8> = r#"[{"nvr_ip": "10.0.0.1", "site": "Süd"}]"#
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect();
    let half = &new.as_bytes()[..new.len() / 2];
    let mut shown = String::new();
    for (name, bytes) in [
        ("latin1.json", latin1.as_slice()),
        ("half.json", half),
        ("empty.json", b""),
        (
            "twice.json",
            br#"[{"nvr_ip": "10.0.0.1", "nvr_ip": "10.0.0.2"}]"#,
        ),
        (
            "camera-twice.json",
            br#"[{"nvr_ip": "a", "cameras": [{"name": "x", "name": "y"}]}]"#,
        ),
        ("object.json", br#"{"devices": []}"#),
        ("text.json", br#""10.0.0.1""#),
        ("strings.json", br#"["10.0.0.1"]"#),
        ("other.json", br#"[{"host": "10.0.0.1"}]"#),
        ("odd-utf16.json", b"\xFF\xFE[\0]"),
    ] {
        std::fs::write(sandbox.path(name), bytes).unwrap();
        let finished = sandbox.run(&["diff", "old.json", name]).await;
        assert_ne!(finished.status, ExitStatus::Success, "{name}");
        assert_eq!(finished.stdout, "", "{name}");
        shown.push_str(&format!(
            "$ tvtctl diff old.json {name}\n{}\n",
            finished.shown()
        ));
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn differences_are_written_to_files_too() {
    let sandbox = sandbox();
    let files = ["-o", "d.json", "-o", "d.csv", "-o", "d.txt", "-o", "d.xlsx"];
    let arguments: Vec<&str> = ["diff", "old.json", "new.json", "--summary", "--exit-code"]
        .into_iter()
        .chain(files)
        .collect();
    let finished = sandbox.run(&arguments).await;
    assert_eq!(
        finished.status,
        ExitStatus::Differences,
        "{}",
        finished.stderr
    );
    assert_eq!(finished.stdout.lines().count(), 1);
    for (option, file) in [
        (Some("--json"), "d.json"),
        (Some("--csv"), "d.csv"),
        (None, "d.txt"),
    ] {
        let arguments: Vec<&str> = ["diff", "old.json", "new.json"]
            .into_iter()
            .chain(option)
            .collect();
        assert_eq!(
            sandbox.run(&arguments).await.stdout,
            sandbox.read(file),
            "{file}"
        );
    }
    // The workbook has the same rows as the table, read by a reader that is not ours.
    let mut workbook: Xlsx<_> = calamine::open_workbook(sandbox.path("d.xlsx")).unwrap();
    assert_eq!(
        workbook.sheet_names(),
        ["Summary", "Devices", "Differences"]
    );
    let range = workbook.worksheet_range("Differences").unwrap();
    let text = sandbox.read("d.csv");
    let table: Vec<Vec<String>> = csv::Reader::from_reader(text.as_bytes())
        .records()
        .map(|row| {
            row.unwrap()
                .iter()
                .map(|cell| cell.trim_start_matches('\'').to_owned())
                .collect()
        })
        .collect();
    let rows: Vec<Vec<String>> = range
        .rows()
        .skip(1)
        .map(|row| row.iter().map(ToString::to_string).collect())
        .collect();
    assert!(!table.is_empty());
    assert_eq!(rows, table);
    // Names that say nothing, and another program's outputs, have no place.
    for wrong in [&["-o", "d.pdf"][..], &["-o", "x.csv", "--compat", "pytvt"]] {
        let arguments: Vec<&str> = ["diff", "old.json", "new.json"]
            .iter()
            .chain(wrong)
            .copied()
            .collect();
        assert_eq!(
            sandbox.run(&arguments).await.status,
            ExitStatus::Usage,
            "{wrong:?}"
        );
    }
    // A workbook of somebody else's stays, and is named.
    std::fs::write(sandbox.path("d.xlsx"), b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1").unwrap();
    let beside = sandbox
        .run(&["diff", "old.json", "new.json", "--summary", "-o", "d.xlsx"])
        .await;
    assert!(
        beside.stderr.contains("d (tvtfleet).xlsx"),
        "{}",
        beside.stderr
    );
    assert!(
        beside.stderr.contains("encrypted with a password"),
        "{}",
        beside.stderr
    );
    assert!(sandbox.path("d (tvtfleet).xlsx").exists());
}
