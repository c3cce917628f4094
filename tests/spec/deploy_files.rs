//! The files that an operator copies are read by the programs that they are for.

use std::path::{Path, PathBuf};

use tvt_agent::AgentConfig;
use tvt_coordinator::config::CoordinatorConfig;

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("deploy")
        .join(name)
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
        assert_eq!(config.nats.replicas, 1, "{name}");
    }
}

#[test]
fn units_start_the_shipped_programs() {
    for (unit, program) in [
        ("systemd/tvt-agent.service", "/usr/bin/tvt-agent run"),
        (
            "systemd/tvt-coordinator.service",
            "/usr/bin/tvt-coordinator run",
        ),
    ] {
        let text = std::fs::read_to_string(deploy(unit)).unwrap();
        assert!(text.contains(&format!("ExecStart={program} ")), "{unit}");
        for section in ["[Unit]", "[Service]", "[Install]"] {
            assert!(text.lines().any(|line| line == section), "{unit} {section}");
        }
    }
}
