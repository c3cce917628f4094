//! Device credentials that are sealed on the agent's box, as a running agent uses them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use tvt_sim::FleetSpec;
use tvtfleet_tests::fleet::{SITES, Said, TestFleet};
use tvtfleet_tests::program::Program;

const PASSWORD: &str = "Fleet-2026";
const PATIENCE: Duration = Duration::from_secs(60);

async fn credentials(fleet: &TestFleet, arguments: &[&str]) -> Said {
    let config = fleet.agent_folder(SITES[0]).with_extension("toml");
    let program = Program::new("tvt-agent", fleet.folder());
    program
        .args(["credentials"])
        .args(arguments)
        .args(["--config"])
        .args([config])
        .run(PATIENCE)
        .await
        .into()
}

/// The codes of a scan of everything, by address; empty where a device was asked with success.
async fn scan(fleet: &TestFleet) -> BTreeMap<String, String> {
    let said = fleet.ctl(&["scan", "--all", "--format", "json"]).await;
    let rows = said.json();
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| {
        let address = format!("{}:{}", row["nvr_ip"].as_str().unwrap(), row["nvr_port"]);
        let code = row["error_code"].as_str().unwrap_or_default().to_owned();
        (address, code)
    })
    .collect()
}

fn holds_password(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds_password(&path);
        }
        let bytes = fs::read(path).unwrap();
        bytes
            .windows(PASSWORD.len())
            .any(|window| window == PASSWORD.as_bytes())
    })
}

fn write_password(fleet: &TestFleet, name: &str, password: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = fleet.folder().join(name);
    fs::write(&path, password).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_asks_with_what_its_vault_holds_and_takes_up_changes() {
    let spec = FleetSpec {
        sites: 1,
        ..FleetSpec::new(21, 4)
    };
    let mut fleet = TestFleet::start(&spec, Duration::ZERO).await;
    fleet.kill_agent(SITES[0]).await;
    let imported = credentials(&fleet, &["import"]).await.ended(0);
    assert!(!format!("{imported:?}").contains(PASSWORD));
    // What the file says now would be refused everywhere.
    let file = fleet.folder().join("credentials.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace(PASSWORD, "Not-this-1")).unwrap();
    fleet.start_agent(SITES[0]);
    fleet.until_online(1).await;
    let found = scan(&fleet).await;
    assert_eq!(found.len(), 4);
    assert!(found.values().all(String::is_empty), "{found:?}");

    // One recorder gets a credential of its own, a wrong one, while the agent runs.
    let (address, _) = found.first_key_value().unwrap();
    let (host, _) = address.rsplit_once(':').unwrap();
    let wrong = write_password(&fleet, "wrong", "Wrong-2026");
    let set = |password: String| {
        let selector = host.to_owned();
        let fleet = &fleet;
        async move {
            let arguments = ["set", "own", "--user", "admin", "--for", &selector];
            let arguments = [&arguments[..], &["--password-file", &password]].concat();
            credentials(fleet, &arguments).await.ended(0)
        }
    };
    set(wrong).await;
    let listed = credentials(&fleet, &["list"]).await.ended(0);
    assert!(listed.stdout.contains("own"), "{}", listed.stdout);
    assert!(!listed.stdout.contains("Wrong-2026"));
    let found = scan(&fleet).await;
    assert_eq!(found[address], "device.login_rejected");
    assert_eq!(found.values().filter(|code| code.is_empty()).count(), 3);

    set(write_password(&fleet, "right", PASSWORD)).await;
    let found = scan(&fleet).await;
    assert!(found.values().all(String::is_empty), "{found:?}");
    assert_eq!(fleet.simulator.totals().logins_failed, 1);

    // Tried at the box, while nobody else uses the data folder.
    let address = address.as_str();
    let running = credentials(&fleet, &["test", "own", address]).await;
    assert!(running.stderr.contains("storage.locked"), "{running:?}");
    fleet.kill_agent(SITES[0]).await;
    let good = credentials(&fleet, &["test", "own", address])
        .await
        .ended(0);
    assert_eq!(good.stdout, format!("{address}  good\n"));
    let wrong = write_password(&fleet, "wrong", "Wrong-2027");
    let set = ["set", "own", "--user", "admin", "--password-file", &wrong];
    let _ = credentials(&fleet, &set).await.ended(0);
    for _ in 0..2 {
        let bad = credentials(&fleet, &["test", "own", address])
            .await
            .ended(1);
        assert!(bad.stdout.contains("device.login_rejected"), "{bad:?}");
    }
    // The recorder has refused it twice, so it is not sent a third time.
    let spent = credentials(&fleet, &["test", "own", address])
        .await
        .ended(1);
    assert!(spent.stdout.contains("device.attempts_spent"), "{spent:?}");
    assert_eq!(fleet.simulator.totals().logins_failed, 3);
    assert!(!holds_password(&fleet.agent_folder(SITES[0])));
}
