//! The files that an operator copies: read by the programs that they are for, and in agreement with
//! each other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tvt_agent::AgentConfig;
use tvt_coordinator::config::CoordinatorConfig;
use tvtfleet_tests::nats::locate;
use tvtfleet_tests::program::workspace_binary;

/// What every unit must shut, so that a program that is taken over reaches as little as possible.
const SHUT: &[(&str, &str)] = &[
    ("CapabilityBoundingSet", ""),
    ("DynamicUser", "yes"),
    ("LimitCORE", "0"),
    ("MemoryDenyWriteExecute", "yes"),
    ("NoNewPrivileges", "yes"),
    ("PrivateDevices", "yes"),
    ("PrivateTmp", "yes"),
    ("ProtectHome", "yes"),
    ("ProtectProc", "invisible"),
    ("ProtectSystem", "strict"),
    ("RestrictNamespaces", "yes"),
    ("StateDirectoryMode", "0700"),
    ("UMask", "0077"),
];

/// Directives that systemd 252 of Debian 12 passes over.
const NEWER_DIRECTIVES: &[&str] = &["RestartSteps", "RestartMaxDelaySec"];

/// Where a server tells of itself.
const MONITOR: &str = "127.0.0.1:8222";

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("deploy")
        .join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(deploy(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn example_configurations_are_read() {
    for name in ["config/agent.toml", "config/agent.dev.toml"] {
        let config = AgentConfig::read(&deploy(name), |_| None);
        let config = config.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(config.site.to_string(), "acme/depot-1", "{name}");
    }
    for name in ["config/coordinator.toml", "config/coordinator.dev.toml"] {
        let config = CoordinatorConfig::read(&deploy(name), |_| None);
        let config = config.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(config.streams.replicas, 1, "{name}");
    }
}

#[test]
fn units_agree_with_the_example_configurations() {
    let agent = Unit::read("systemd/tvt-agent.service");
    assert_eq!(
        agent.one("ExecStart"),
        "/usr/bin/tvt-agent run --config /etc/tvtfleet/agent.toml"
    );
    let config = read("config/agent.toml");
    let folder = format!("/var/lib/{}", agent.one("StateDirectory"));
    assert!(config.contains(&format!("data_dir = \"{folder}\"")));
    // Each secret that the example names comes in by systemd, and a variable says where it stands then.
    let handed = agent.all("LoadCredential");
    let variables = agent.all("Environment");
    let (file, variable) = (
        "/etc/tvtfleet/credentials.toml",
        "TVT_AGENT_CREDENTIALS_FILE",
    );
    assert!(config.contains(&format!("credentials_file = \"{file}\"")));
    assert!(config.contains(variable), "{variable}");
    let name = handed
        .iter()
        .find_map(|line| line.strip_suffix(&format!(":{file}")))
        .unwrap_or_else(|| panic!("{file} is not handed over: {handed:?}"));
    let expected = format!("{variable}=%d/{name}");
    assert!(variables.contains(&expected.as_str()), "{variables:?}");

    let coordinator = Unit::read("systemd/tvt-coordinator.service");
    assert_eq!(
        coordinator.all("LoadCredential"),
        [
            "config:/etc/tvtfleet/coordinator.toml",
            "coordinator.creds:/etc/tvtfleet/coordinator.creds",
            "coordinator.xseed:/etc/tvtfleet/coordinator.xseed",
        ]
    );
    assert_eq!(
        coordinator.one("ExecStart"),
        "/usr/bin/tvt-coordinator run --config %d/config"
    );
    let folder = format!("/var/lib/{}", coordinator.one("StateDirectory"));
    assert!(read("config/coordinator.toml").contains(&format!("data_dir = \"{folder}\"")));
}

#[test]
fn units_are_shut() {
    for name in [
        "systemd/tvt-agent.service",
        "systemd/tvt-coordinator.service",
    ] {
        let unit = Unit::read(name);
        for (key, value) in SHUT {
            assert_eq!(unit.one(key), *value, "{name}: {key}");
        }
        assert_eq!(unit.one("WantedBy"), "multi-user.target", "{name}");
        assert_eq!(unit.one("Restart"), "always", "{name}");
    }
}

#[test]
fn systemd_accepts_the_units() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("skipped: systemd-analyze is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for program in ["tvt-agent", "tvt-coordinator"] {
        let name = format!("{program}.service");
        // The programs are not installed here, and neither are their manual pages.
        let text = read(&format!("systemd/{name}"))
            .replace(&format!("/usr/bin/{program} "), "/bin/true ")
            .replace(&format!("Documentation=man:{program}(1)\n"), "");
        let path = folder.path().join(&name);
        fs::write(&path, text).unwrap();
        let verify = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&verify.stderr);
        let complaints: Vec<&str> = said
            .lines()
            .filter(|line| line.contains(program))
            .filter(|line| !NEWER_DIRECTIVES.iter().any(|key| line.contains(key)))
            .collect();
        assert!(complaints.is_empty(), "{name}: {complaints:?}");
    }
}

/// The whole of what a cluster may have: routes, WebSockets, figures.
#[test]
fn nats_accepts_what_admin_init_writes() {
    let folder = tempfile::tempdir().unwrap();
    let init = Command::new(workspace_binary("tvtctl"))
        .args([
            "admin",
            "init",
            "fleet",
            "--store",
            "store",
            "--websocket-port",
            "443",
        ])
        .args([
            "--server",
            "a=a.example",
            "--server",
            "b=b.example",
            "--server",
            "c=[::1]:1/2",
        ])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(
        init.status.success(),
        "{}",
        String::from_utf8_lossy(&init.stderr)
    );
    for name in ["a", "b", "c"] {
        let conf = folder
            .path()
            .join(format!("fleet/nats/{name}/nats-server.conf"));
        assert!(
            fs::read_to_string(&conf)
                .unwrap()
                .contains(&format!("http: \"{MONITOR}\""))
        );
        let check = Command::new(locate(None).expect("a nats-server"))
            .arg("-c")
            .arg(conf)
            .arg("-t")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&check.stderr);
        assert!(check.status.success(), "{said}");
    }
}

#[test]
fn containers_agree_with_the_other_files() {
    let compose: Value = serde_saphyr::from_str(&read("compose/compose.yaml")).unwrap();
    let services = compose["services"].as_object().unwrap();
    let volumes = compose["volumes"].as_object().unwrap();
    for (name, service) in services {
        for mount in service["volumes"].as_array().unwrap() {
            let mount = mount.as_str().unwrap();
            let source = mount.split(':').next().unwrap();
            let stands = match source.strip_prefix("./fleet/") {
                // What `tvtctl admin init` writes.
                Some(own) => ["nats/nats", "coordinator"].contains(&own),
                None if source.starts_with('.') => deploy("compose").join(source).is_file(),
                None => volumes.contains_key(source),
            };
            assert!(stands, "{name}: {mount}");
        }
        if let Some(needs) = service["depends_on"].as_object() {
            assert!(needs.keys().all(|need| services.contains_key(need)));
        }
    }

    let nats = &services["nats"];
    let default = xtask::nats_server::Version::DEFAULT.to_string();
    let image = nats["image"].as_str().unwrap();
    assert_eq!(image, format!("nats:{default}-alpine"));
    let asked = nats["healthcheck"]["test"].as_array().unwrap();
    let asked = asked.last().and_then(Value::as_str).unwrap();
    assert_eq!(asked, format!("http://{MONITOR}/healthz"));
    let mounted = |service: &Value, target: &str| {
        let mounts = service["volumes"].as_array().unwrap().iter();
        mounts
            .filter_map(Value::as_str)
            .any(|mount| mount.split(':').nth(1) == Some(target))
    };
    for file in ["/etc/nats", "/var/lib/nats"] {
        assert!(mounted(nats, file), "{file}");
    }
    let coordinator = &services["coordinator"];
    assert!(mounted(coordinator, "/var/lib/tvt-coordinator"));
    assert!(mounted(coordinator, "/etc/tvtfleet"));

    let image = read("compose/Dockerfile");
    let toolchain: toml::Table =
        toml::from_str(&read("../rust-toolchain.toml")).expect("the toolchain's file");
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap();
    let minor: Vec<&str> = channel.split('.').take(2).collect();
    assert!(image.contains(&format!("FROM rust:{}-", minor.join("."))));
    assert!(read("compose/Dockerfile.dockerignore").contains("target"));
}

/// The directives of a unit.
struct Unit {
    name: String,
    directives: BTreeMap<String, Vec<String>>,
}

impl Unit {
    fn read(name: &str) -> Self {
        let mut directives: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut section = None;
        for line in read(name).lines() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(title) = line.strip_prefix('[') {
                let title = title.strip_suffix(']').unwrap();
                assert!(["Unit", "Service", "Install"].contains(&title), "{line}");
                section = Some(title.to_owned());
                continue;
            }
            assert!(section.is_some(), "{name}: {line:?} stands in no section");
            let (key, value) = line.split_once('=').unwrap();
            directives
                .entry(key.to_owned())
                .or_default()
                .push(value.to_owned());
        }
        Self {
            name: name.to_owned(),
            directives,
        }
    }

    fn all(&self, key: &str) -> Vec<&str> {
        let values = self.directives.get(key).into_iter().flatten();
        values.map(String::as_str).collect()
    }

    fn one(&self, key: &str) -> &str {
        let values = self.all(key);
        let [value] = values.as_slice() else {
            panic!("{}: {key} stands {} times", self.name, values.len());
        };
        value
    }
}
