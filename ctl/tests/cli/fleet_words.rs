//! What fleet commands refuse before they ask a server, and what needs none.

use tvtfleet_proto::error::ExitStatus;

use crate::sandbox::Sandbox;

#[tokio::test]
async fn command_lines_that_make_no_sense() {
    let sandbox = Sandbox::new().file("old.json", "[]").file("new.json", "[]");
    for words in [
        &["inventory", "label", "nvr-1"][..],
        &["inventory", "label", "+gold", "-old"],
        &["inventory", "label", "nvr-1", "+gold", "--format", "json"],
        &["inventory", "list", "--at", "soon"],
        &["changes", "list", "--since", "someday"],
        &["changes", "list", "--kind", "renamed"],
        &["diff"],
        &["diff", "old.json"],
        &["diff", "--to", "now"],
        &["diff", "old.json", "new.json", "--from", "2d"],
        &["diff", "old.json", "--from", "2d", "--to", "1d"],
        &["diff", "old.json", "new.json", "--site", "acme/depot"],
        &["sql"],
        &["sql", "SELECT 1", "--schema"],
    ] {
        let finished = sandbox.run(words).await;
        assert_eq!(
            finished.status,
            ExitStatus::Usage,
            "{words:?}: {}",
            finished.stderr
        );
        assert!(
            finished.stderr.contains("code: usage.invalid"),
            "{words:?}: {}",
            finished.stderr
        );
    }
}

#[tokio::test]
async fn the_tables_of_questions() {
    let finished = Sandbox::new().run(&["sql", "--schema"]).await;
    assert_eq!(finished.status, ExitStatus::Success, "{}", finished.stderr);
    insta::assert_snapshot!(finished.stdout);
}
