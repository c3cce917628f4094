//! Comparing two result files.

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
