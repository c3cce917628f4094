//! The published pytvt loads the double of the vendor's library by its own definitions, and both sides
//! tell the same of a device; where its definitions are wrong, the double says so.
//!
//! Skipped, with the reason, where pytvt cannot be had: it is fetched from the Python package index.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tvt_fakesdk::place;
use tvtfleet_tests::fleet::Said;
use tvtfleet_tests::program::Program;
use xtask::pytvt::Pytvt;

const PASSWORD: &str = "Pa55-for-both";
const TIME: Duration = Duration::from_secs(60);

/// What pytvt's own client finds. Its sizes of lists are numbers of records where the library wants
/// bytes: 2,880 "records" are room for eight of 360 bytes. Pictures are left out, for the call that it
/// makes has an argument too many and kills the process.
const SCRIPT: &str = r#"
import json, os, sys
from pytvt.netsdk.client import NetSdkClient, NetSdkError
def attempt(call):
    try:
        return call()
    except NetSdkError as error:
        return str(error)
host, port = sys.argv[1].split(":")
with NetSdkClient(sdk_path=os.environ["TVT_SDK_PATH"]) as client:
    with client.login(host, "admin", os.environ["TVT_PASSWORD"], int(port)) as device:
        info = device.device_info()
        print(json.dumps({
            "info": [info.serial_number, info.product, info.device_name, info.mac, info.firmware],
            "clock": str(device.device_time()),
            "url": device.rtsp_url(3),
            "disks": [[disk.total_mb, disk.free_mb] for disk in device.disk_info()],
            "cameras": [[row.channel + 1, row.ip, row.port] for row in device.ipc_info(2880) if row.ip],
            "by_records": attempt(lambda: device.ipc_info(128)),
        }))
"#;

async fn theirs(pytvt: &Pytvt, folder: &Path, device: &str) -> Value {
    let child = tokio::process::Command::new(pytvt.program("python"))
        .args(["-c", SCRIPT, device])
        .current_dir(folder)
        .env("TVT_SDK_PATH", folder.join(place::NAME))
        .env("TVT_PASSWORD", PASSWORD)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(TIME, child).await;
    let output = output.expect("pytvt takes too long").unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn ours(folder: &Path, ask: &str, device: &str) -> Value {
    let said: Said = Program::new("tvtctl", folder)
        .env("TVT_SDK_PATH", folder)
        .args(["device", ask, device, "--backend", "netsdk"])
        .args(["--password-file", "password", "--format", "json"])
        .run(TIME)
        .await
        .into();
    said.json()["devices"][0]["answer"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pytvt_and_we_read_the_same_of_the_library() {
    let pytvt = match tokio::task::spawn_blocking(Pytvt::find_or_fetch)
        .await
        .unwrap()
    {
        Ok(pytvt) => pytvt,
        Err(reason) => {
            println!("skipped: {reason:#}");
            return;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let trace = folder.join("trace");
    let faults = format!(
        "FAKE_NETSDK_CREDS=admin:{PASSWORD}\nFAKE_NETSDK_TRACE={}\n",
        trace.display()
    );
    place::install(folder, &faults).unwrap();
    let secret = folder.join("password");
    std::fs::write(&secret, PASSWORD).unwrap();
    private(&secret);
    let listener = TcpListener::bind(("127.86.0.3", 0)).unwrap();
    let device = listener.local_addr().unwrap().to_string();

    let theirs = theirs(&pytvt, folder, &device).await;
    let calls = std::fs::read_to_string(&trace).unwrap();
    std::fs::remove_file(&trace).unwrap();

    let info = ours(folder, "info", &device).await[0].clone();
    let fields = ["serial", "model", "name", "mac", "firmware"].map(|name| info[name].clone());
    assert_eq!(theirs["info"], json!(fields));
    let clock = ours(folder, "clock", &device).await;
    assert_eq!(theirs["clock"], clock[0]["local_time"]);
    let disks = ours(folder, "disks", &device).await;
    let sizes = |row: &Value| json!([row["total_mb"], row["free_mb"]]);
    let disks: Vec<_> = disks.as_array().unwrap().iter().map(sizes).collect();
    assert_eq!(theirs["disks"], json!(disks));
    let urls = ours(folder, "rtsp-url", &device).await;
    let mut urls = urls.as_array().unwrap().iter();
    let fourth = urls.find(|row| row["channel"] == 4 && row["stream"] == "main");
    assert_eq!(theirs["url"], fourth.unwrap()["url"]);
    let channels = ours(folder, "channels", &device).await;
    let camera = |row: &Value| {
        let number: u32 = row["channel"].as_str().unwrap().parse().unwrap();
        json!([number, row["address"], row["port"]])
    };
    let rows = channels.as_array().unwrap().iter();
    let cameras: Vec<_> = rows
        .filter(|row| row["address"] != "")
        .map(camera)
        .collect();
    let mut found = theirs["cameras"].as_array().unwrap().clone();
    found.sort_by_key(|row| row[0].as_u64());
    assert_eq!(found, cameras);

    // What its definitions have wrong, and ours do not.
    assert_eq!(theirs["by_records"], "GetDeviceIPCInfo (error=46)");
    for wrong in ["SetConnectTime#1", "GetDeviceIPCInfo#2"] {
        let told = calls
            .lines()
            .any(|line| line.contains(wrong) && line.contains("VIOLATION"));
        assert!(told, "{wrong}: {calls}");
    }
    let ours = std::fs::read_to_string(&trace).unwrap();
    assert!(!ours.contains("VIOLATION"), "{ours}");
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
