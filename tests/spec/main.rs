//! The specification: one module per behaviour, one binary.

// Everything here is test code, also what stands outside of test functions: lints go by this.
#![cfg(test)]

mod architecture;
mod audit;
mod bounds;
mod bridge_asks;
mod bridge_fleet;
mod bridge_served;
mod bridges;
mod bus_connect;
mod bus_out;
mod bus_rpc;
mod bus_streams;
mod bus_want;
mod decode;
mod deploy_files;
mod device_probe;
mod discover_fleet;
mod discover_netns;
mod discover_pace;
mod discover_peer;
mod doctor;
mod fleet_asks;
mod fleet_scan;
mod fleet_snapshot;
mod fleet_trace;
mod fuzz_corpus;
mod history;
mod hostile_messages;
mod lines;
mod local_scan;
mod local_snapshot;
mod login_budget;
mod mishaps;
mod netsdk;
mod netsdk_asks;
mod netsdk_reach;
mod nothing_lost;
mod orders;
mod pictures;
mod protocol_faults;
mod push;
mod pytvt_peer;
mod pytvt_sdk_peer;
mod pytvt_web_peer;
mod replica_log;
mod rotation;
mod secrets;
mod signed_reports;
mod simulation;
mod soak;
mod standby;
mod swarm;
mod telemetry;
mod trouble;
mod trust;
mod tshark;
mod vault;
mod vectors;
mod web_asks;
mod web_changes;
mod web_faults;
mod web_passwords;
mod web_tls;
mod workbooks;

/// A file that is not listed above would never run, and nobody would notice.
#[test]
fn every_file_of_the_specification_is_part_of_it() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("spec");
    let listed: Vec<&str> = include_str!("main.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            Some(
                entry
                    .unwrap()
                    .file_name()
                    .to_str()?
                    .strip_suffix(".rs")?
                    .to_owned(),
            )
        })
        .filter(|name| name != "main")
        .collect();
    files.sort();
    assert_eq!(listed, files);
}
