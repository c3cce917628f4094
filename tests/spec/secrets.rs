//! Where a device password is after a scan of a fleet with accounts: in the site's own file, and
//! nowhere else.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_nats::ConnectOptions;
use futures_util::StreamExt as _;
use tvt_sim::{FleetSpec, Options, Simulator};
use tvtfleet_tests::fleet::PASSWORD;
use tvtfleet_tests::governed::GovernedFleet;

/// The most that is unpacked of one part, in bytes.
const UNPACKED_MAX: u64 = 1 << 20;

/// Every file below a folder, with its bytes. What is being written meanwhile may be gone again.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut open = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                found.push((path, bytes));
            }
        }
    }
    found
}

/// Whether a text stands in bytes, or in anything compressed in them.
fn holds(bytes: &[u8], text: &str) -> bool {
    const PACKED: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    let plain = |bytes: &[u8]| {
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    let starts = bytes.windows(PACKED.len()).enumerate();
    plain(bytes)
        || starts
            .filter(|(_, window)| *window == PACKED)
            .any(|(start, _)| {
                let mut unpacked = Vec::new();
                // What follows the packed part in a file is no part of it, and ends the reading.
                if let Ok(decoder) = zstd::stream::read::Decoder::new(&bytes[start..]) {
                    let _garbage = decoder.take(UNPACKED_MAX).read_to_end(&mut unpacked);
                }
                plain(&unpacked)
            })
}

#[test]
fn the_search_looks_into_what_is_compressed() {
    let packed = zstd::encode_all([b'x'; 500].as_slice(), 3).unwrap();
    let with = zstd::encode_all(format!("{}{PASSWORD}", "x".repeat(500)).as_bytes(), 3).unwrap();
    assert!(!holds(&packed, PASSWORD));
    assert!(holds(
        &[b"head".as_slice(), &packed, &with, b"tail"].concat(),
        PASSWORD
    ));
}

/// The command lines and environments of every process that names `folder`.
fn processes(folder: &str) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            (holds(&line, folder) || holds(&environment, folder))
                .then(|| [line, environment].concat())
        })
        .collect()
}

/// What an operator does with a fleet: each leaves files, messages and rows behind.
const RUN: [&str; 14] = [
    "scan --all -o all.json -o all.csv -o all.xlsx --xlsx sites",
    "run clock --all",
    "run users --all --format json",
    "run camera-logins --all --format json",
    "run set-services --all --set rtsp=false --yes",
    "snapshot --all --all-channels -o pictures",
    "scan --all -o again.json",
    "diff all.json again.json",
    "inventory export -o known.csv",
    "jobs list",
    "status",
    "doctor --format json",
    "audit list --format json",
    "credentials list",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_stays_in_the_file_of_its_site() {
    let spec = FleetSpec {
        sites: 1,
        channels: 2,
        web: true,
        broken: BTreeMap::new(),
        ..FleetSpec::new(17, 4)
    };
    let simulator = Simulator::start(spec.generate().unwrap(), Options::default()).unwrap();
    let mut fleet = GovernedFleet::start(1, &["acme"], "").await;
    fleet.give_credentials();
    let devices = simulator.devices().iter();
    let web: Vec<u16> = devices
        .filter_map(|device| Some(device.web_address()?.port()))
        .collect();
    fleet.agent_lines = format!(
        "[policy]\nasks = ['scan', 'clock', 'users', 'camera-logins', 'set-services', 'snapshot']\n\
         [web]\nhttps_ports = []\nhttp_ports = {web:?}\n"
    );
    // What is said only when somebody looks for a fault counts as well.
    fleet.environment = vec![("RUST_LOG", "trace".to_owned())];
    fleet.kill_coordinator().await;
    fleet.start_coordinator();
    fleet.until_answering().await;

    // Hears everything that the coordinator's account hears or stores.
    let core = fleet.path("fleet/coordinator/coordinator.creds");
    let core = std::fs::read_to_string(core).unwrap();
    let client = ConnectOptions::with_credentials(&core)
        .unwrap()
        .add_root_certificates(fleet.path("fleet/keys/ca.pem"))
        .connect(fleet.url())
        .await
        .unwrap();
    let mut everything = client.subscribe(">").await.unwrap();
    client.flush().await.unwrap();
    let seen = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&seen);
    let listener = tokio::spawn(async move {
        let mut messages = 0_u32;
        while let Some(message) = everything.next().await {
            messages += 1;
            let headers = format!("{:?}", message.headers);
            if holds(&message.payload, PASSWORD) || headers.contains(PASSWORD) {
                told.store(true, Ordering::Relaxed);
            }
            if message.subject.as_str() == "test.end" {
                break;
            }
        }
        messages
    });

    fleet.joined("one", "acme/depot-1").await;
    fleet.start_agent("one");
    fleet.until_online("acme/depot-1").await;
    // The same password once more, from the centre into the site's vault.
    let typed = fleet.path("typed");
    std::fs::write(&typed, PASSWORD).unwrap();
    std::fs::set_permissions(&typed, std::fs::Permissions::from_mode(0o600)).unwrap();
    let typed_name = typed.to_str().unwrap();
    let push = [
        "credentials",
        "push",
        "pushed",
        "--user",
        "admin",
        "--for",
        "any",
    ];
    let rest = ["--all", "--password-file", typed_name];
    let pushed = fleet
        .as_operator("admin", &[&push[..], &rest].concat())
        .await;
    let pushed = pushed.ended(0);
    assert!(pushed.stdout.contains("accepted"), "{pushed:?}");
    std::fs::remove_file(typed).unwrap();

    fleet.import("acme/depot-1", &simulator).await;
    let mut said = Vec::new();
    for words in RUN {
        let words: Vec<&str> = words.split(' ').collect();
        said.push(fleet.as_operator("admin", &words).await.ended(0));
    }
    let backup = ["admin", "backup", "fleet.backup", "--dir", "fleet"];
    said.push(fleet.ctl(&backup).await.ended(0));

    client.publish("test.end", "".into()).await.unwrap();
    client.flush().await.unwrap();
    let messages = listener.await.unwrap();
    assert!(messages > 10, "only {messages} messages were heard");
    assert!(
        !seen.load(Ordering::Relaxed),
        "a message holds the password"
    );
    for line in fleet
        .logs()
        .iter()
        .chain(said.iter().flat_map(|said| [&said.stdout, &said.stderr]))
        .chain([&pushed.stdout, &pushed.stderr])
    {
        assert!(!line.contains(PASSWORD), "{line}");
    }
    let folder = fleet.path("");
    let found = files(&folder);
    assert!(found.len() > 40, "only {} files were found", found.len());
    let holding: Vec<_> = found
        .iter()
        .filter(|(_, bytes)| holds(bytes, PASSWORD))
        .map(|(path, _)| path.strip_prefix(&folder).unwrap().to_owned())
        .collect();
    assert_eq!(holding, [Path::new("credentials.toml")]);
    let running = processes(folder.to_str().unwrap());
    assert!(running.len() >= 3, "server, coordinator and agent run");
    assert!(running.iter().all(|text| !holds(text, PASSWORD)));
}
