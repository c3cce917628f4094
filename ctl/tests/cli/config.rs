//! Where settings come from, and which source wins.

use tvtfleet_proto::error::{ErrorCode, ExitStatus};

use crate::sandbox::{Finished, Refusing, Sandbox};

const INVENTORY: &str = r#"[{"ip": "127.0.0.1", "site": "Depot"}]"#;

fn sandbox() -> Sandbox {
    Sandbox::new().file("inventory.json", INVENTORY)
}

/// Runs a scan that ends before any device is asked: its output folder does not exist.
async fn settle(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
    let fixed = ["local", "scan", "inventory.json", "-o", "missing/out.json"];
    let arguments: Vec<&str> = fixed.iter().chain(arguments).copied().collect();
    sandbox.run(&arguments).await
}

#[tokio::test]
async fn the_first_source_wins() {
    // Every source holds a value that cannot be used, so the error names the one that counted.
    let all = || {
        sandbox()
            .env("TVT_PASSWORD", "x")
            .env("TVT_PORT", "env")
            .file(".env", "TVT_PORT=dotenv\n")
            .file("config.json", r#"{"port": "file"}"#)
    };
    let cases = [
        (all(), "TVT_PORT has no usable value: \"env\""),
        (
            all().env("TVT_PORT", ""),
            "TVT_PORT in .env has no usable value: \"dotenv\"",
        ),
        (
            all().env("TVT_PORT", "").file(".env", "TVT_PORT=\n"),
            "\"port\" in config.json has no usable value: \"file\"",
        ),
    ];
    for (sandbox, expected) in cases {
        let finished = settle(&sandbox, &[]).await;
        assert_eq!(finished.status, ExitStatus::Config);
        assert!(finished.stderr.contains(expected), "{}", finished.stderr);
        assert!(
            finished.stderr.contains("code: config.invalid"),
            "{}",
            finished.stderr
        );
        let finished = settle(&sandbox, &["--port", "6036"]).await;
        assert!(
            finished.stderr.contains("code: output.unwritable"),
            "{}",
            finished.stderr
        );
    }
}

#[tokio::test]
async fn every_setting_is_read_from_every_source() {
    for (variable, key, flag) in [
        ("TVT_PORT", "port", "--port=6036"),
        ("TVT_TIMEOUT", "timeout", "--timeout=5s"),
        ("TVT_CONCURRENCY", "concurrency", "--concurrency=4"),
    ] {
        let base = || sandbox().env("TVT_PASSWORD", "x");
        let sources = [
            (base().env(variable, "bad"), variable.to_owned()),
            (
                base().file(".env", &format!("{variable}=bad\n")),
                format!("{variable} in .env"),
            ),
            (
                base().file("config.json", &format!(r#"{{"{key}": "bad"}}"#)),
                format!("\"{key}\" in config.json"),
            ),
        ];
        for (sandbox, origin) in sources {
            let finished = settle(&sandbox, &[]).await;
            assert!(
                finished.stderr.contains(&format!("error: {origin} has no")),
                "{}",
                finished.stderr
            );
            let finished = settle(&sandbox, &[flag]).await;
            assert!(
                finished
                    .stderr
                    .contains(ErrorCode::OutputUnwritable.as_str()),
                "{flag}"
            );
        }
    }
}

#[tokio::test]
async fn the_user_name_and_numbers_of_a_config_file_count() {
    let sandbox = sandbox().file(
        "pytvt.json",
        r#"{"username": "op", "password": "secret", "port": 7036, "concurrency": "3", "colour": 64}"#,
    );
    let refusing = Refusing::at("127.0.0.1");
    let inventory = format!(r#"[{{"ip": "127.0.0.1", "port": {}}}]"#, refusing.port);
    let sandbox = sandbox.file("inventory.json", &inventory);
    let finished = sandbox
        .run(&[
            "local",
            "scan",
            "inventory.json",
            "--retries",
            "0",
            "--config",
            "pytvt.json",
        ])
        .await;
    assert!(
        finished.stderr.contains("Credentials: op / ********"),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stderr.contains("Concurrency: 3"),
        "{}",
        finished.stderr
    );
    assert!(
        finished
            .stderr
            .contains("pytvt.json: not used here: colour"),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stderr.contains("can be read by other users"),
        "{}",
        finished.stderr
    );
    assert!(!finished.stderr.contains("secret"));
}

#[tokio::test]
async fn a_named_file_must_be_there_and_make_sense() {
    let sandbox = sandbox()
        .env("TVT_PASSWORD", "x")
        .file("list.json", "[]")
        .file("broken.json", "{")
        .file("nested.json", r#"{"port": [1]}"#);
    let mut shown = String::new();
    for file in ["typo.json", "list.json", "broken.json", "nested.json"] {
        let finished = settle(&sandbox, &["--config", file]).await;
        shown.push_str(&format!("--config {file}\n{}\n", finished.shown()));
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn passwords() {
    let sandbox = sandbox()
        .file("open.txt", "hunter2\n")
        .file("closed.txt", "hunter2\n")
        .private("closed.txt")
        .file("empty.txt", "\n")
        .private("empty.txt");
    let mut shown = String::new();
    for arguments in [
        &[][..],
        &["-p", ""],
        &["-p", "hunter2"],
        &["--password-file", "open.txt"],
        &["--password-file", "closed.txt"],
        &["--password-file", "empty.txt"],
        &["--password-file", "missing.txt"],
        &["--allow-empty-password"],
        &["-p", "x", "--password-file", "closed.txt"],
    ] {
        let finished = settle(&sandbox, arguments).await;
        assert!(!finished.stderr.contains("hunter2"), "{arguments:?}");
        shown.push_str(&format!("{}\n{}\n", arguments.join(" "), finished.shown()));
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn a_dotenv_that_cannot_be_read_shows_nothing_of_itself() {
    let sandbox = sandbox().file(".env", "TVT_USERNAME=op\nTVT_PASSWORD='hunter2\n");
    let finished = settle(&sandbox, &[]).await;
    assert_eq!(finished.status, ExitStatus::Config);
    assert!(finished.stderr.contains(".env is not") || finished.stderr.contains("line 2 of .env"));
    assert!(!finished.stderr.contains("hunter2"), "{}", finished.stderr);
}

#[tokio::test]
async fn a_dotenv_sets_settings_of_local_scans_only() {
    let sandbox = Sandbox::new()
        .file(".env", "TVT_NATS_URL=\n")
        .env("TVT_NATS_URL", "bad url");
    let from_env = sandbox.run(&["jobs", "list"]).await;
    let sandbox = Sandbox::new()
        .file(".env", "TVT_NATS_URL='bad url'\n")
        .env("TVT_NATS_URL", "other url");
    let not_from_dotenv = sandbox.run(&["jobs", "list"]).await;
    for finished in [from_env, not_from_dotenv] {
        assert_eq!(finished.status, ExitStatus::Config, "{}", finished.stderr);
    }
}

#[tokio::test]
async fn the_fleet_configuration_rejects_unknown_keys() {
    let sandbox = Sandbox::new().file(
        ".config/tvtfleet/tvtctl.toml",
        "server = \"nats://x\"\nsevrer = 1\n",
    );
    let finished = sandbox.run(&["jobs", "list"]).await;
    insta::assert_snapshot!(finished.shown());
}
