//! What the demo does, in order.
#![expect(clippy::print_stdout, reason = "the story is told on standard output")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::process::Command;

use super::simulator::Simulator;
use super::system::{SITES, System};
use crate::workspace;
use xtask::nats_server;

/// The password of the generated recorders: test data of the simulator.
const PASSWORD: &str = "Fleet-2026";
/// How long each recorder takes for each packet.
const LATENCY: &str = "20ms";
/// The exit code of `tvtctl` when some devices failed, as some recorders of the demo must.
const SOME_FAILED: i32 = 1;

/// Tells the whole story and leaves its files in `out`.
pub(crate) async fn tell(out: &Path, keep: bool) -> Result<()> {
    say("looking for nats-server");
    let nats = nats_server::find_or_fetch(&nats_server::Options::from_environment(None))?;
    say("building the release binaries (minutes the first time)");
    let binaries = workspace::release_binaries()?;
    let began = Instant::now();

    prepare(out)?;
    let work = out.join("run");
    fs::create_dir_all(work.join("logs"))?;
    say("starting 60 simulated recorders at three sites");
    let (fleet, inventories) = generate(&binaries, &work).await?;
    let mut recorders = Simulator::serve(
        &binaries.join("tvt-sim"),
        &fleet,
        LATENCY,
        &work.join("logs"),
    )
    .await?;
    say("starting NATS, the coordinator and three agents");
    let mut system = System::start(&nats, &binaries, &work, PASSWORD).await?;

    for (site, inventory) in SITES.iter().zip(&inventories) {
        let id = format!("{}/{}", site.tenant, site.name);
        shown(&system, &["sites", "add", &id, "--name", site.display_name]).await?;
        let path = inventory.to_string_lossy();
        shown(&system, &["inventory", "import", &path, "--site", &id]).await?;
    }
    system.until_online().await?;
    shown(&system, &["agents", "list"]).await?;

    say("first scan of the whole fleet");
    let first = Files::at(out, "first");
    scan(&system, &first).await?;

    say("the fleet changes: a camera renamed, one offline, new firmware, a recorder gone");
    change(&mut recorders, &fleet).await?;

    say("second scan");
    let second = Files::at(out, "second");
    scan(&system, &second).await?;

    say("what changed");
    let (old, new) = (first.json.to_string_lossy(), second.json.to_string_lossy());
    shown(&system, &["diff", &old, &new]).await?;
    let differences = system
        .tvtctl(&["diff", &old, &new, "--json"])
        .output()
        .await?;
    fs::write(out.join("changes.json"), &differences.stdout)?;

    println!(
        "\nDone in {:.1} s. The files:",
        began.elapsed().as_secs_f64()
    );
    for path in listing(out)? {
        println!("  {}", path.display());
    }
    if keep {
        stay(&system).await?;
    } else {
        println!("\nTry next:");
        println!(
            "  cargo xtask demo --keep                      # leave it running, then ask it things"
        );
        println!(
            "  {}/tvtctl local diff {old} {new} --json",
            binaries.display()
        );
        println!("  {}/tvtctl local scan --help", binaries.display());
    }
    system.stop().await?;
    recorders.stop().await
}

async fn stay(system: &System) -> Result<()> {
    println!("\nEverything keeps running until Ctrl-C. In another terminal:");
    println!("  export TVT_CTL_CONFIG={}", system.operator.display());
    println!(
        "  export PATH={}:$PATH",
        workspace::target().join("release").display()
    );
    println!("  tvtctl sites list");
    println!("  tvtctl jobs list");
    println!("  tvtctl inventory list --site acme/head-office");
    println!("  tvtctl scan --tenant globex --format csv");
    println!("  tvtctl scan --help");
    println!("\nProcesses: {:?}", system.ids());
    tokio::signal::ctrl_c()
        .await
        .context("cannot wait for Ctrl-C")
}

/// The files of one scan.
struct Files {
    json: PathBuf,
    csv: PathBuf,
    books: PathBuf,
}

impl Files {
    fn at(out: &Path, name: &str) -> Self {
        Self {
            json: out.join(format!("{name}.json")),
            csv: out.join(format!("{name}.csv")),
            books: out.join(format!("{name}-books")),
        }
    }
}

async fn scan(system: &System, files: &Files) -> Result<()> {
    let (json, csv) = (files.json.to_string_lossy(), files.csv.to_string_lossy());
    let books = files.books.to_string_lossy();
    let arguments = ["scan", "--all", "-o", &json, "-o", &csv, "--xlsx", &books];
    println!("\n$ tvtctl {}", arguments.join(" "));
    let status = system
        .tvtctl(&arguments)
        .status()
        .await
        .context("cannot run tvtctl")?;
    if status.code() != Some(SOME_FAILED) {
        bail!("the scan ended with {status}, but some recorders of the demo fail on purpose");
    }
    for path in [&files.json, &files.csv, &files.books] {
        if !path.exists() {
            bail!("the scan did not write {}", path.display());
        }
    }
    Ok(())
}

async fn shown(system: &System, arguments: &[&str]) -> Result<()> {
    println!("\n$ tvtctl {}", arguments.join(" "));
    let status = system
        .tvtctl(arguments)
        .status()
        .await
        .context("cannot run tvtctl")?;
    if !status.success() {
        bail!("tvtctl {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}

async fn generate(binaries: &Path, work: &Path) -> Result<(PathBuf, Vec<PathBuf>)> {
    let fleet = work.join("fleet.json");
    let mut command = Command::new(binaries.join("tvt-sim"));
    command.args([
        "generate",
        "--devices",
        "60",
        "--sites",
        "3",
        "--seed",
        "7",
        "--channels",
        "16",
    ]);
    command.args([
        "--head",
        "15",
        "--broken",
        "wrong-password=1",
        "--broken",
        "absent=1",
    ]);
    command.args([
        "--broken",
        "close=1",
        "--broken",
        "tunnel-mute=1",
        "--broken",
        "http=1",
    ]);
    command
        .arg("--out")
        .arg(&fleet)
        .arg("--inventory-dir")
        .arg(work.join("inventories"));
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .await
        .context("cannot run tvt-sim")?;
    if !output.status.success() {
        bail!("the fleet was not generated ({})", output.status);
    }
    let answer: Value =
        serde_json::from_slice(&output.stdout).context("unexpected answer of tvt-sim")?;
    let paths = answer
        .get("inventories")
        .and_then(Value::as_array)
        .context("no inventories")?;
    // The first file holds every site.
    let paths: Vec<PathBuf> = paths
        .iter()
        .skip(1)
        .filter_map(Value::as_str)
        .map(PathBuf::from)
        .collect();
    if paths.len() != SITES.len() {
        bail!("{} inventories for {} sites", paths.len(), SITES.len());
    }
    Ok((fleet, paths))
}

/// Changes four sound recorders of the standard variant, told apart by their place in the fleet file.
async fn change(recorders: &mut Simulator, fleet: &Path) -> Result<()> {
    let fleet: Value = serde_json::from_slice(&fs::read(fleet)?)?;
    let devices = fleet.as_array().context("the fleet file is no array")?;
    let sound = |device: &&Value| {
        let kind = device
            .get("kind")
            .and_then(Value::as_str)
            .unwrap_or("standard");
        let cameras = device
            .get("cameras")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        let faults = device
            .get("faults")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        kind == "standard" && cameras > 2 && faults == 0
    };
    let addresses: Vec<&str> = devices
        .iter()
        .filter(sound)
        .filter_map(|device| device.get("ip")?.as_str())
        .collect();
    let [renamed, offline, updated, gone, ..] = addresses.as_slice() else {
        bail!("the fleet has too few sound recorders");
    };
    recorders
        .change(
            renamed,
            "rename_camera",
            json!({ "channel": 1, "name": "Loading bay 4" }),
        )
        .await?;
    recorders
        .change(
            offline,
            "set_camera_online",
            json!({ "channel": 2, "online": false }),
        )
        .await?;
    recorders
        .change(updated, "set_firmware", json!({ "firmware": "1.4.13.7" }))
        .await?;
    recorders.change(gone, "remove", json!({})).await
}

/// Makes the folder and clears away what an earlier demo left there, and nothing else.
fn prepare(out: &Path) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for name in ["run", "first-books", "second-books"] {
        let path = out.join(name);
        if path.exists() {
            fs::remove_dir_all(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    for name in [
        "first.json",
        "first.csv",
        "second.json",
        "second.csv",
        "changes.json",
    ] {
        let path = out.join(name);
        if path.exists() {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn listing(out: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(out)? {
        let path = entry?.path();
        if path.is_file() {
            found.push(path);
        } else if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().ends_with("-books"))
        {
            for book in fs::read_dir(&path)? {
                found.push(book?.path());
            }
        }
    }
    found.push(out.join("run").join("logs"));
    found.sort();
    Ok(found)
}

fn say(text: &str) {
    println!("\n── {text}");
}
