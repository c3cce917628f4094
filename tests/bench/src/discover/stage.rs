//! Two namespaces and a cable between them: the searcher in one, hosts and recorders in the other.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::measure::Task;
use crate::programs::Programs;

/// How the hosts are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wiring {
    /// Through a router; dark addresses swallow packets.
    Routed,
    /// In the searcher's own network; dark addresses cost an entry of the neighbour table.
    Flat,
    /// Every address is the searcher's own computer's: nothing is dark, and no cable in between.
    Local,
}

/// Who is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Population {
    /// Recorders that answer searches.
    pub(super) searched: u32,
    /// Recorders that only greet, on 6036 or 9008.
    pub(super) greeting: u32,
    /// Hosts that are no recorders.
    pub(super) others: u32,
    /// Percent of the searches that are not answered.
    pub(super) loss: u32,
}

/// A stage; its namespaces end with it.
pub(super) struct Stage {
    name: String,
    wiring: Wiring,
    folder: TempDir,
    recorders: BTreeSet<String>,
    simulator: Option<Child>,
}

const DEVICE: &str = "cable";
/// The seed of the addresses.
const SEED: u64 = 0x5EED;

impl Stage {
    pub(super) fn new(
        wiring: &Wiring,
        population: &Population,
        network: &str,
        programs: &Programs,
    ) -> Result<Self> {
        let mut stage = Self {
            name: format!("tvtbench{}", std::process::id()),
            wiring: *wiring,
            folder: tempfile::tempdir().context("cannot create a temporary folder")?,
            recorders: BTreeSet::new(),
            simulator: None,
        };
        stage.wire(*wiring, network)?;
        let (hosts, fleet) = populate(population, network)?;
        let length = match wiring {
            Wiring::Routed | Wiring::Local => "32",
            Wiring::Flat => network.rsplit('/').next().unwrap_or("32"),
        };
        stage.add_hosts(&hosts, length)?;
        stage.recorders = fleet
            .iter()
            .filter_map(|device| Some(device.get("ip")?.as_str()?.to_owned()))
            .collect();
        stage.simulate(&fleet, &programs.path("tvt-sim"))?;
        Ok(stage)
    }

    pub(super) fn recorders(&self) -> u64 {
        u64::try_from(self.recorders.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn has_recorder(&self, address: &str) -> bool {
        self.recorders.contains(address)
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A program to be measured in the searcher's namespace.
    pub(super) fn task(&self, program: &Path) -> Task<'_> {
        Task::new("ip", self.folder.path())
            .args(["netns", "exec", &self.searcher()])
            .arg(program.as_os_str())
    }

    fn searcher(&self) -> String {
        format!("{}-a", self.name)
    }

    fn site(&self) -> String {
        match self.wiring {
            Wiring::Routed | Wiring::Flat => format!("{}-s", self.name),
            Wiring::Local => self.searcher(),
        }
    }

    fn wire(&self, wiring: Wiring, network: &str) -> Result<()> {
        let (searcher, site) = (self.searcher(), self.site());
        if wiring == Wiring::Local {
            ip(&format!("netns add {searcher}")).context("namespaces need root")?;
            ip(&format!("-n {searcher} link set lo up"))?;
            return ip(&format!("-n {searcher} route add local {network} dev lo"));
        }
        for namespace in [&searcher, &site] {
            ip(&format!("netns add {namespace}")).context("namespaces need root")?;
            ip(&format!("-n {namespace} link set lo up"))?;
        }
        ip(&format!(
            "link add {DEVICE} netns {searcher} type veth peer name {DEVICE} netns {site}"
        ))?;
        let (near, far) = match wiring {
            Wiring::Routed | Wiring::Local => {
                ("10.99.0.1/24".to_owned(), "10.99.0.2/24".to_owned())
            }
            Wiring::Flat => {
                let length = network.rsplit('/').next().unwrap_or("24");
                (format!("10.50.0.1/{length}"), format!("10.50.0.2/{length}"))
            }
        };
        for (namespace, address) in [(&searcher, near), (&site, far)] {
            ip(&format!("-n {namespace} addr add {address} dev {DEVICE}"))?;
            ip(&format!("-n {namespace} link set {DEVICE} up"))?;
        }
        if wiring == Wiring::Routed {
            // Scanners take their device from the default route.
            for network in ["10.50.0.0/16", "default"] {
                ip(&format!("-n {searcher} route add {network} via 10.99.0.2"))?;
            }
            ip(&format!("-n {site} route add blackhole 10.50.0.0/16"))?;
        }
        Ok(())
    }

    fn add_hosts(&self, hosts: &[Ipv4Addr], length: &str) -> Result<()> {
        let device = match self.wiring {
            Wiring::Routed | Wiring::Flat => DEVICE,
            Wiring::Local => "lo",
        };
        let batch: String = hosts
            .iter()
            .map(|host| format!("addr add {host}/{length} dev {device}\n"))
            .collect();
        let mut child = Command::new("ip")
            .args(["-n", &self.site(), "-batch", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .context("cannot run ip")?;
        child
            .stdin
            .take()
            .context("no input")?
            .write_all(batch.as_bytes())?;
        if !child.wait()?.success() {
            bail!("the hosts cannot be added");
        }
        Ok(())
    }

    fn simulate(&mut self, fleet: &[Value], program: &Path) -> Result<()> {
        let path = self.folder.path().join("fleet.json");
        std::fs::write(&path, serde_json::to_vec(fleet)?)?;
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.site()])
            .arg(program)
            .arg("serve")
            .arg(&path)
            .arg("--exit-on-stdin-eof")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start tvt-sim")?;
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().context("no output")?).read_line(&mut ready)?;
        self.simulator = Some(child);
        if !ready.contains("\"ready\"") {
            bail!("tvt-sim does not start: {ready}");
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(simulator) = &mut self.simulator {
            // It may have ended already.
            let _ = simulator.kill();
            let _ = simulator.wait();
        }
        for namespace in BTreeSet::from([self.searcher(), self.site()]) {
            // Nothing is left to do where this fails.
            let _ = ip(&format!("netns del {namespace}"));
        }
    }
}

/// Chooses addresses scattered over the network, and says who is there.
fn populate(population: &Population, network: &str) -> Result<(Vec<Ipv4Addr>, Vec<Value>)> {
    let (base, length) = network.split_once('/').context("no network")?;
    let base = u32::from(base.parse::<Ipv4Addr>()?);
    let size = 1_u32 << 32_u32.saturating_sub(length.parse()?);
    let wanted = population.searched + population.greeting + population.others;
    let mut chosen = BTreeSet::new();
    let mut order = Vec::new();
    let mut state = SEED;
    while u32::try_from(order.len())? < wanted {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // The first few addresses are the ends of the cable.
        let offset = 3 + u32::try_from(state >> 33)? % (size - 4);
        if chosen.insert(offset) {
            order.push(Ipv4Addr::from(base + offset));
        }
    }
    let mut fleet = Vec::new();
    for (number, host) in (0_u32..).zip(&order) {
        let [_, a, b, c] = number.to_be_bytes();
        let mac = format!("58:5B:69:{a:02X}:{b:02X}:{c:02X}");
        // Devices take up to the three seconds that the search allows them.
        let search = json!({
            "model": "TD-3316", "mhed": false,
            "delay_ms": u64::from(number) * 37 % 2_900, "loss": population.loss,
        });
        let port = if number % 2 == 0 { 6036 } else { 9008 };
        if number < population.searched {
            fleet.push(json!({"ip": host.to_string(), "mac": mac, "search": search}));
        } else if number < population.searched + population.greeting {
            fleet.push(json!({"ip": host.to_string(), "mac": mac, "port": port}));
        }
    }
    Ok((order, fleet))
}

fn ip(arguments: &str) -> Result<()> {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .context("cannot run ip")?;
    if !output.status.success() {
        bail!(
            "ip {arguments}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
