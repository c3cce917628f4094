//! What users read when something is wrong, and the exit code.

use tvtfleet_proto::error::ExitStatus;

use crate::sandbox::{Refusing, Sandbox};

const INVENTORY: &str = r#"[{"ip": "127.0.0.1", "site": "Depot"}]"#;

#[tokio::test]
async fn usage() {
    let sandbox = Sandbox::new().file("inventory.json", INVENTORY);
    let mut shown = String::new();
    for arguments in [
        &["scan"][..],
        &["scan", "--all", "--site", "acme/depot"],
        &["scan", "--site", "Acme Depot"],
        &["scan", "--all", "--parallel", "0"],
        &["scan", "--inventory", "inventory.json", "--label", "x"],
        &["local", "scan"],
        &["local", "scan", "inventory.json", "--port", "70000"],
        &["local", "scan", "inventory.json", "--backend", "telnet"],
        &["jobs", "show", "yesterday"],
        &["inventory", "import", "inventory.json"],
    ] {
        let finished = sandbox.run(arguments).await;
        assert_eq!(finished.status, ExitStatus::Usage, "{arguments:?}");
        shown.push_str(&format!(
            "$ tvtctl {}\n{}\n",
            arguments.join(" "),
            finished.shown()
        ));
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn where_and_how_to_look() {
    let sandbox = Sandbox::new();
    let mut shown = String::new();
    for arguments in [
        &["--subnet", "10.0.0.300/24"][..],
        &["--subnet", "10.0.0.0/33"],
        &["--subnet", "fd00::/64"],
        &["--subnet", "10.0.0.0/8"],
        &["--subnet", "10.0.0.0/12", "--subnet", "10.16.0.0/12"],
        &["--subnet", "8.8.8.0/24"],
        &["--subnet", "239.255.255.0/24", "--yes"],
        &["--methods", "x"],
        &["--profile", "fast"],
        &["--rate", "0"],
        &["--methods", "tcp", "--no-tcp-fallback"],
        &["--subnet", "10.0.0.0/30", "--exclude", "10.0.0.0/29"],
        &["--tcp-port", "0"],
        &["--retries", "4"],
    ] {
        let arguments = [&["local", "discover"], arguments].concat();
        let finished = sandbox.run(&arguments).await;
        assert_eq!(finished.status, ExitStatus::Usage, "{arguments:?}");
        shown.push_str(&format!(
            "$ tvtctl {}\n{}\n",
            arguments.join(" "),
            finished.shown()
        ));
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn no_server() {
    let refusing = Refusing::at("127.0.0.1");
    let port = refusing.port.to_string();
    let url = format!("nats://operator:hunter2@127.0.0.1:{port}");
    let finished = Sandbox::new()
        .run(&["jobs", "list", "--server", &url])
        .await;
    assert!(!finished.stderr.contains("hunter2"));
    insta::assert_snapshot!(finished.shown().replace(&port, "[PORT]"));
}

#[tokio::test]
async fn settings_of_the_server_are_blamed_on_their_source() {
    let config = "creds = \"missing.creds\"\n";
    let sandbox = Sandbox::new().file(".config/tvtfleet/tvtctl.toml", config);
    let from_file = sandbox.run(&["jobs", "list"]).await;
    let from_env = Sandbox::new()
        .env("TVT_NATS_URL", "bad url")
        .run(&["jobs", "list"])
        .await;
    insta::assert_snapshot!(format!("{}\n{}", from_file.shown(), from_env.shown()));
}

#[tokio::test]
async fn outputs_are_checked_before_anything_is_scanned() {
    let sandbox = Sandbox::new()
        .file("inventory.json", INVENTORY)
        .env("TVT_PASSWORD", "x");
    let mut shown = String::new();
    for output in [
        "missing/results.json",
        "results.txt",
        "results",
        "missing/results.xlsx",
        ".",
    ] {
        let finished = sandbox
            .run(&["local", "scan", "inventory.json", "-o", output])
            .await;
        assert!(
            !finished.stderr.contains("TVT NVR Camera Scanner"),
            "{output} was scanned"
        );
        shown.push_str(&format!(
            "$ tvtctl local scan inventory.json -o {output}\n{}\n",
            finished.shown()
        ));
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn inventories() {
    let sandbox = Sandbox::new()
        .env("TVT_PASSWORD", "x")
        .file("broken.json", "[{\"ip\": ")
        .file("object.json", "{\"sites\": []}")
        .file("empty.json", "[]")
        .file(
            "foreign.json",
            r#"[{"ip": "10.0.0.1", "manufacturer": "Other"}]"#,
        )
        .file("inventory.json", INVENTORY);
    let mut shown = String::new();
    for arguments in [
        &["missing.json"][..],
        &["broken.json"],
        &["object.json"],
        &["empty.json"],
        &["foreign.json"],
        &["inventory.json", "--site", "harbour"],
    ] {
        let arguments: Vec<&str> = ["local", "scan"].iter().chain(arguments).copied().collect();
        let finished = sandbox.run(&arguments).await;
        shown.push_str(&format!(
            "$ tvtctl {}\n{}\n",
            arguments.join(" "),
            finished.shown()
        ));
    }
    insta::assert_snapshot!(shown);
}
