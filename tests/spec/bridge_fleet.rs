//! Fleet jobs by an agent's bridges: the HTTP service and the script, through NATS and back.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tvt_sim::FleetSpec;
use tvtfleet_tests::bridge::{BridgeDouble, Habit};
use tvtfleet_tests::fleet::{SITES, TestFleet};

/// Devices of the only site.
const DEVICES: usize = 3;

/// A script that knows one camera of every device.
const SCRIPT: &str = r"
const [, , ip] = process.argv;
console.log('___JSON_START___');
console.log(JSON.stringify({ success: true, device_name: 'script ' + ip, total_channels: 1,
  cameras: [{ channel: 0, name: 'one', address: '192.0.2.1', port: 9008, status: 'Online',
              protocol: 'TVT', model: 'M', device_id: 0 }], error: null }));
console.log('___JSON_END___');
";

fn habits() -> BTreeMap<String, Habit> {
    let clock = json!({"success": true, "action": "get", "device_time": "2026-11-07T08:09:10",
        "timestamp": null, "error": null});
    let scan = json!({"success": true, "device_name": "bridged", "serial_number": "", "cameras": [
        {"channel": 0, "address": "192.0.2.7", "status": "Online"}]});
    let all = [
        ("/health", json!({"status": "ok"})),
        ("/device/time", clock),
        ("/scan", scan),
    ];
    all.into_iter()
        .map(|(path, answer)| (path.to_owned(), Habit::json(&answer)))
        .collect()
}

fn devices(said: &Value) -> Vec<Value> {
    said["devices"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleet_jobs_go_by_the_bridges_of_the_agent() {
    let spec = FleetSpec {
        sites: 1,
        ..FleetSpec::new(12, DEVICES)
    };
    let mut fleet = TestFleet::empty(&spec, Duration::ZERO).await;
    let bridge = BridgeDouble::start(habits()).await;
    let script = fleet.folder().join("scan_nvr.mjs");
    std::fs::write(&script, SCRIPT).unwrap();
    fleet.set("TVT_API_URL", &bridge.url);
    fleet.set("TVT_SCAN_SCRIPT", script.to_str().unwrap());
    fleet.start_coordinator();
    fleet.know_sites().await;
    fleet.start_agent(SITES[0]);
    fleet.until_online(1).await;

    let shown = ["agents", "show", SITES[0], "--format", "json"];
    let backends = fleet.ctl(&shown).await.ended(0).json()["backends"].clone();
    let usable = |name: &str| {
        let mut rows = backends.as_array().unwrap().iter();
        rows.any(|row| row["backend"] == name && row["usable"] == true)
    };
    assert!(usable("sdk"), "{backends}");

    let clocks = [
        "run",
        "clock",
        "--all",
        "--backend",
        "sdk",
        "--format",
        "json",
    ];
    let said = fleet.ctl(&clocks).await.ended(0).json();
    let rows = devices(&said);
    assert_eq!(rows.len(), DEVICES, "{said}");
    for row in rows {
        assert_eq!(row["backend"], "sdk", "{row}");
        assert_eq!(
            row["answer"][0]["local_time"], "2026-11-07 08:09:10",
            "{row}"
        );
    }
    let asked = bridge.asked();
    let clocks = asked.iter().filter(|asked| asked.path == "/device/time");
    assert_eq!(clocks.count(), DEVICES, "each device once");

    let scan = ["scan", "--all", "--backend", "sdk", "-o", "bridged.json"];
    let _said = fleet.ctl(&scan).await.ended(0);
    let text = std::fs::read_to_string(fleet.folder().join("bridged.json")).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(rows.len(), DEVICES);
    assert!(
        rows.iter().all(|row| row["device_name"] == "bridged"),
        "{text}"
    );

    // The script knows nothing but channels.
    let clocks = [
        "run",
        "clock",
        "--all",
        "--backend",
        "sdk-local",
        "--format",
        "json",
    ];
    let said = fleet.ctl(&clocks).await.ended(1).json();
    for row in devices(&said) {
        assert_eq!(row["error_code"], "device.unsupported_variant", "{row}");
    }
    if !usable("sdk-local") {
        eprintln!("the rest is skipped: there is no node in PATH");
        return;
    }
    let channels = [
        "run",
        "channels",
        "--all",
        "--backend",
        "sdk-local",
        "--format",
        "json",
    ];
    let said = fleet.ctl(&channels).await.ended(0).json();
    let rows = devices(&said);
    assert_eq!(rows.len(), DEVICES, "{said}");
    for row in rows {
        assert_eq!(row["backend"], "sdk-local", "{row}");
        assert_eq!(row["answer"][0]["address"], "192.0.2.1", "{row}");
    }
}
