//! `tvt-sim generate`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;
use tvt_sim::{Broken, FleetSpec, InventoryEntry, save_inventories};

use super::{output, parse};

/// Generate a fleet file and its inventories from a seed
///
/// The same options give the same files. All recorders take the user admin with the password of
/// the example fleets, except those with wrong-password.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tvt-sim generate --devices 60 --sites 3 --seed 1 --out fleet.json --inventory-dir sites
  tvt-sim generate --devices 1000 --channels 32 --head 300 --broken absent=5 \\
      --broken wrong-password=10 --out fleet.json

Broken kinds: wrong-password absent silent close no-cameras tunnel-mute nul-tail drip busy
              password-change reset truncated bad-length http ssh")]
pub(super) struct Arguments {
    /// Recorders in all
    #[arg(long, value_name = "COUNT")]
    devices: usize,
    /// Sites, one inventory each
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    sites: usize,
    /// Channels of each recorder
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    channels: u32,
    /// Recorders of the head variant
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    head: usize,
    /// Broken recorders of one kind; may be repeated
    #[arg(long, value_name = "KIND=COUNT", value_parser = parse::counted::<Broken>)]
    broken: Vec<(Broken, usize)>,
    /// Seed of everything that is left open
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
    /// Loopback address of the first site; the next site adds 1 to the second number
    #[arg(long, value_name = "IP", default_value = "127.10.0.0")]
    base: Ipv4Addr,
    /// Port of every recorder; 0 takes free ones when the fleet is served
    #[arg(long, value_name = "PORT", default_value_t = 6036)]
    port: u16,
    /// Fleet file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Folder for the inventories
    #[arg(long, value_name = "DIR")]
    inventory_dir: Option<PathBuf>,
    /// Give every recorder web interfaces, each on a free port
    #[arg(long)]
    web: bool,
}

/// Generates and writes the files.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.port == 0 && arguments.inventory_dir.is_some() {
        bail!("with port 0 the ports are not known yet; let `serve --inventory-dir` write them");
    }
    let spec = FleetSpec {
        seed: arguments.seed,
        devices: arguments.devices,
        sites: arguments.sites,
        base: arguments.base,
        port: arguments.port,
        channels: arguments.channels,
        head: arguments.head,
        broken: arguments.broken.iter().copied().collect(),
        web: arguments.web,
    };
    let fleet = spec.generate().context("cannot generate this fleet")?;
    fleet.save(&arguments.out)?;
    let entries: Vec<InventoryEntry> = fleet
        .devices
        .iter()
        .map(|device| InventoryEntry::new(device, SocketAddr::new(device.ip, device.port)))
        .collect();
    let inventories = match &arguments.inventory_dir {
        Some(folder) => save_inventories(folder, &entries)?,
        None => Vec::new(),
    };
    output::line(&json!({
        "fleet": arguments.out,
        "inventories": inventories,
        "devices": fleet.devices.len(),
        "head": spec.head,
        "broken": spec.broken,
    }))
    .context("cannot write to stdout")
}
