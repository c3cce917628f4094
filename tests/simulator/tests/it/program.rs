//! The program itself.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tvt-sim"))
}

fn run(arguments: &[&str]) -> Output {
    program()
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// A folder of this test alone.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn a_generated_fleet_is_served_and_stopped() {
    let folder = folder("served");
    let fleet = folder.join("fleet.json");
    let fleet = fleet.to_str().unwrap();
    let made = run(&[
        "generate",
        "--devices",
        "5",
        "--sites",
        "2",
        "--head",
        "1",
        "--broken",
        "absent=1",
        "--port",
        "0",
        "--out",
        fleet,
    ]);
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let inventories = folder.join("sites");
    let mut child = program()
        .args([
            "serve",
            fleet,
            "--control",
            "127.0.0.1:0",
            "--exit-on-stdin-eof",
        ])
        .arg("--inventory-dir")
        .arg(&inventories)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut ready)
        .unwrap();
    let ready: Value = serde_json::from_str(&ready).unwrap();
    assert_eq!(
        (&ready["devices"], &ready["listening"]),
        (&5.into(), &4.into())
    );
    let all = std::fs::read_to_string(inventories.join("all.json")).unwrap();
    let all: Value = serde_json::from_str(&all).unwrap();
    assert!(
        all.as_array()
            .unwrap()
            .iter()
            .all(|entry| entry["port"] != 0)
    );
    let control = ready["control"].as_str().unwrap();
    let totals = run(&["ctl", control, "totals"]);
    let totals: Value = serde_json::from_slice(&totals.stdout).unwrap();
    assert_eq!(totals["totals"]["connections"], 0);
    let refused = run(&["ctl", control, "counters", "nobody"]);
    assert_eq!(refused.status.code(), Some(1));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn wrong_arguments_and_files_are_refused() {
    assert_eq!(run(&["serve"]).status.code(), Some(2));
    let missing = run(&["serve", "/nonexistent/fleet.json"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).starts_with("error: cannot read"));
    let many = run(&[
        "generate",
        "--devices",
        "1",
        "--head",
        "2",
        "--out",
        "/dev/null",
    ]);
    assert_eq!(many.status.code(), Some(1));
    let help = run(&["serve", "--help"]);
    assert!(String::from_utf8_lossy(&help.stdout).contains("pause_when"));
}
