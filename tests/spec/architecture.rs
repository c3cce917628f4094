//! The README's invariants: sentences about what is absent, checked on the sources themselves.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Every file below `folder` whose name ends in `.rs`, as a path relative to the root, with its text.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(next) = open.pop() {
        for entry in
            fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display()))
        {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(root())
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}

fn shipped() -> Vec<(String, String)> {
    [
        "proto/src",
        "proto/bus/src",
        "agent/src",
        "agent/netsdk-host/src",
        "coordinator/src",
        "ctl/src",
    ]
    .into_iter()
    .flat_map(sources)
    .collect()
}

fn dependencies(manifest: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    manifest["dependencies"]
        .as_table()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

const MEMBERS: [&str; 11] = [
    "proto",
    "proto/bus",
    "agent",
    "agent/netsdk-host",
    "coordinator",
    "ctl",
    "tests",
    "tests/simulator",
    "tests/fakesdk",
    "tests/bench",
    "deploy/xtask",
];

#[test]
fn proto_depends_on_nothing_that_does_io() {
    let forbidden = [
        "tokio",
        "async-nats",
        "reqwest",
        "socket2",
        "rand",
        "futures-util",
        "rustix",
    ];
    let found = dependencies("proto/Cargo.toml");
    for name in forbidden {
        assert!(!found.contains(name), "proto depends on {name}");
    }
}

#[test]
fn only_the_bus_crate_names_async_nats() {
    for (path, text) in shipped() {
        if !path.starts_with("proto/bus/") {
            assert!(!text.contains("async_nats"), "{path} names async_nats");
        }
    }
}

#[test]
fn the_simulator_is_a_second_reading() {
    let found = dependencies("tests/simulator/Cargo.toml");
    let own: Vec<_> = found
        .iter()
        .filter(|name| name.starts_with("tvt"))
        .collect();
    assert!(own.is_empty(), "the simulator depends on {own:?}");
}

#[test]
fn subjects_are_written_in_one_place() {
    for (path, text) in shipped() {
        let text = text.split("#[cfg(test)]").next().unwrap();
        if path != "proto/src/subject.rs" {
            assert!(!text.contains("\"tvt.v1."), "{path} writes a subject");
        }
    }
}

#[test]
fn deciding_modules_do_no_io() {
    let pure = [
        "agent/src/plan",
        "agent/src/retry",
        // All of the budget but its files.
        "agent/src/budget/brake",
        "agent/src/budget/fingerprint",
        "agent/src/budget/ledger",
        "agent/src/budget/memory",
        "agent/src/device/select",
        "agent/src/snapshot/order",
        "agent/src/snapshot/colour",
        "agent/src/outbox/window",
        "coordinator/src/jobs/",
        "coordinator/src/inventory/merge",
        "coordinator/src/diff",
    ];
    let io = [
        "std::fs",
        "std::net::Tcp",
        "std::net::Udp",
        "tokio::",
        "rusqlite",
        "SystemTime::now",
        "Instant::now",
    ];
    let mut checked = 0;
    for (path, text) in shipped() {
        if !pure.iter().any(|prefix| path.starts_with(prefix)) || path.ends_with("tests.rs") {
            continue;
        }
        checked += 1;
        let code = text.split("#[cfg(test)]").next().unwrap();
        for name in io {
            assert!(!code.contains(name), "{path} uses {name}");
        }
    }
    assert!(
        checked >= 8,
        "only {checked} files found: were modules renamed?"
    );
}

#[test]
fn every_manifest_takes_versions_and_lints_from_the_workspace() {
    for member in MEMBERS {
        let path = format!("{member}/Cargo.toml");
        let manifest: toml::Table = fs::read_to_string(root().join(&path))
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(
            manifest["lints"]["workspace"].as_bool(),
            Some(true),
            "{path}"
        );
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(section).and_then(toml::Value::as_table) else {
                continue;
            };
            for (name, value) in table {
                let inherited = value.get("workspace").and_then(toml::Value::as_bool);
                assert_eq!(
                    inherited,
                    Some(true),
                    "{path}: {name} has a version of its own"
                );
            }
        }
    }
}

#[test]
fn no_file_outgrows_its_idea() {
    for (path, text) in shipped() {
        let lines = text.lines().count();
        assert!(lines <= 600, "{path} has {lines} lines");
    }
}

#[test]
fn the_top_level_holds_what_the_readme_names() {
    let allowed = [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "clippy.toml",
        "deny.toml",
        "rustfmt.toml",
        "rust-toolchain.toml",
        "proto",
        "coordinator",
        "agent",
        "ctl",
        "tests",
        "deploy",
        "target",
    ];
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(
            name.starts_with('.') || allowed.contains(&name.as_str()),
            "{name}"
        );
    }
}

#[test]
fn secrets_are_shown_in_few_places() {
    let allowed = [
        "proto/src/model/secret.rs",
        "proto/src/device/tvt/",
        "agent/src/budget/fingerprint.rs",
        // Requests with a login, written for the helper's stdin and for bridges.
        "proto/src/device/sdkpipe/message.rs",
        "proto/src/device/bridge/request.rs",
        "agent/netsdk-host/src/ffi.rs",
        // Takes the password out of what a script prints.
        "agent/src/device/bridge/script.rs",
        // Proofs, session keys, cookies.
        "proto/src/device/cgi/",
        "proto/src/device/http/",
        // Headers and bodies on their way out.
        "agent/src/device/web/",
        // To the RTSP client.
        "agent/src/device/rtsp/capture.rs",
        // The token and the key of the agent's own bridge, compared and loaded.
        "agent/src/bridge/settings.rs",
        "agent/src/credentials",
        // The agent's own keys, into files of mode 0600.
        "agent/src/identity/",
        // What is sealed, and the key that it is sealed with.
        "agent/src/vault/",
        // A credential on its way into its box, and a password as a person typed it.
        "proto/bus/src/trust/push.rs",
        // The coordinator's own key.
        "coordinator/src/trust/known.rs",
        // The key of a credentials file, to sign with.
        "proto/bus/src/trust/user.rs",
        // The fleet's keys, from a backup into files of mode 0600.
        "ctl/src/commands/admin/backup.rs",
        "ctl/src/config/",
        // Keys of the fleet, into files of mode 0600 and onto the certificates they sign.
        "ctl/src/realm/",
        // The login of a NATS server.
        "proto/bus/src/options.rs",
        "proto/bus/src/connect.rs",
        // Addresses of NATS servers, which may hold a password.
        "ctl/src/server.rs",
    ];
    for (path, text) in shipped() {
        let code = text.split("#[cfg(test)]").next().unwrap();
        if code.contains(".expose()") {
            assert!(
                allowed.iter().any(|prefix| path.starts_with(prefix)),
                "{path} shows a secret"
            );
        }
    }
}

#[test]
fn only_the_host_of_the_vendors_library_is_unsafe() {
    for (path, text) in shipped() {
        let lifts = text.contains("unsafe_code") || text.contains("unsafe {");
        assert!(
            !lifts || path.starts_with("agent/netsdk-host/"),
            "{path} is unsafe"
        );
    }
    for (path, text) in sources("agent/netsdk-host/src") {
        let blocks = text.matches("unsafe {").count();
        let reasons = text.matches("// SAFETY:").count();
        assert_eq!(blocks, reasons, "{path} has blocks without a reason");
    }
}

#[test]
fn the_host_of_the_vendors_library_knows_no_bus() {
    let found = dependencies("agent/netsdk-host/Cargo.toml");
    for name in ["tokio", "async-nats", "tvtfleet-bus", "tvt-agent"] {
        assert!(!found.contains(name), "the host depends on {name}");
    }
}
