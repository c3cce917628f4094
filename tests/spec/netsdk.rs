//! The vendor's library as a backend: its data, and that nothing else of it gets through.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tvt_fakesdk::place;
use tvt_sim::FleetSpec;
use tvtfleet_tests::fleet::{SITES, Said, TestFleet};
use tvtfleet_tests::program::Program;

const PASSWORD: &str = "Pa55-not-in-proc";

/// Recorders that take connections, which is all that the agent does with them itself.
struct Site {
    folder: tempfile::TempDir,
    listeners: Vec<TcpListener>,
    port: u16,
}

impl Site {
    fn start(network: u8, devices: u8, faults: &str) -> Self {
        let at = |device: u8| IpAddr::V4(Ipv4Addr::new(127, network, 0, device));
        // The first one picks the port for all; another program may have it on another address.
        let listeners = std::iter::repeat_with(|| {
            let first = TcpListener::bind((at(1), 0)).unwrap();
            let port = first.local_addr().unwrap().port();
            let mut all = vec![first];
            for device in 2..=devices {
                all.push(TcpListener::bind((at(device), port)).ok()?);
            }
            Some(all)
        })
        .take(20)
        .flatten()
        .next()
        .expect("a port that is free on all addresses");
        let port = listeners[0].local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let entries: Vec<Value> = (1..=devices)
            .map(|device| json!({"site": "Lab", "ip": at(device), "manufacturer": "TVT"}))
            .collect();
        let write =
            |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        write("inventory.json", json!(entries).to_string());
        write("password", PASSWORD.to_owned());
        private(&folder.path().join("password"));
        place::install(folder.path(), faults).unwrap();
        Self {
            folder,
            listeners,
            port,
        }
    }

    fn program(&self, arguments: &[&str]) -> Program {
        let port = self.port.to_string();
        Program::new("tvtctl", self.folder.path())
            .env("TVT_SDK_PATH", self.folder.path())
            .args([
                "local",
                "scan",
                "inventory.json",
                "--password-file",
                "password",
            ])
            .args(["--port", &port, "-o", "results.json", "--retries", "0"])
            .args(arguments)
    }

    async fn scan(&self, arguments: &[&str]) -> (Said, Vec<Value>) {
        let said: Said = self
            .program(arguments)
            .run(Duration::from_secs(120))
            .await
            .into();
        (said, self.results())
    }

    fn results(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("results.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_by_the_library_tells_what_it_says() {
    let creds = format!("FAKE_NETSDK_CREDS=admin:{PASSWORD}\n");
    let site = Site::start(81, 1, &creds);
    let (said, rows) = site.scan(&["-b", "netsdk"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let row = &rows[0];
    assert_eq!(row["backend"], "netsdk");
    assert_eq!(row["device_name"], "fake-127.81.0.1");
    assert_eq!(row["device_model"], "FAKE-NVR8");
    assert_eq!(row["total_channels"], 16);
    let cameras = row["cameras"].as_array().unwrap();
    let shown: Vec<_> = cameras
        .iter()
        .map(|camera| {
            (
                camera["channel"].as_i64().unwrap(),
                camera["address"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(shown[0], (1, "192.0.2.10"));
    assert_eq!(shown[5], (6, ""), "a channel without a camera");
    assert_eq!(shown.len(), 8);
    assert_eq!(cameras[2]["status"], "Offline");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_logins_have_codes_and_are_tried_once() {
    let creds = "FAKE_NETSDK_CREDS=admin:another\nFAKE_NETSDK_TRACE=";
    let site = Site::start(82, 1, creds);
    let trace = site.folder.path().join("trace");
    let library = site.folder.path().join(place::NAME);
    let faults = format!("{creds}{}\n", trace.display());
    std::fs::write(format!("{}.faults", library.display()), faults).unwrap();
    let (said, rows) = site.scan(&["-b", "netsdk"]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(rows[0]["error_code"], "device.login_rejected", "{rows:?}");
    let trace = std::fs::read_to_string(trace).unwrap();
    assert_eq!(trace.matches("mismatch").count(), 1, "{trace}");
    assert!(!trace.contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auto_asks_the_library_where_the_protocol_fails_and_it_is_configured() {
    // Nothing there speaks the binary protocol.
    let site = Site::start(83, 1, "");
    let (said, rows) = site.scan(&["--timeout", "10"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(rows[0]["backend"], "netsdk");
    let attempts: Vec<_> = rows[0]["attempts"].as_array().unwrap().iter().collect();
    assert_eq!(attempts.len(), 2, "{attempts:?}");
    let elsewhere = site.program(&["--timeout", "10"]).env("TVT_SDK_PATH", "");
    let said: Said = elsewhere.run(Duration::from_secs(60)).await.into();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(site.results()[0]["backend"], "protocol");
}

/// What the processes below one process were seen to be.
#[derive(Default)]
struct Watched {
    most: usize,
    rss_kib: u64,
    exposed: BTreeSet<String>,
    looks: u32,
}

impl Watched {
    fn look(&mut self, parent: u32) {
        self.looks += 1;
        let mut helpers = 0;
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let folder = entry.path();
            let read = |name: &str| std::fs::read(folder.join(name)).unwrap_or_default();
            let status = String::from_utf8_lossy(&read("status")).into_owned();
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|line| line.trim_end_matches("kB").trim().parse::<u64>().ok())
            };
            let own = entry.file_name().to_string_lossy() == parent.to_string();
            if field("PPid:") != Some(u64::from(parent)) && !own {
                continue;
            }
            for name in ["cmdline", "environ"] {
                let text = String::from_utf8_lossy(&read(name)).into_owned();
                if text.contains(PASSWORD) {
                    self.exposed.insert(format!("{name}: {text}"));
                }
            }
            if own {
                self.rss_kib = self.rss_kib.max(field("VmHWM:").unwrap_or(0));
            } else if status.starts_with("Name:\ttvt-netsdk-host") && !status.contains("State:\tZ")
            {
                helpers += 1;
            }
        }
        self.most = self.most.max(helpers);
    }
}

/// Two hundred recorders: every fifth crashes the library, every seventh hangs it, some leak. Each
/// costs its own report and no other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashing_and_hanging_devices_cost_nobody_else_anything() {
    const DEVICES: u8 = 200;
    let list = |step: u8, entry: &dyn Fn(u8) -> String| -> String {
        let all: Vec<String> = (1..=DEVICES)
            .filter(|n| n.is_multiple_of(step))
            .map(entry)
            .collect();
        all.join(";")
    };
    let crash = list(5, &|n| {
        if n.is_multiple_of(2) {
            format!("Login@127.84.0.{n}=segv")
        } else {
            format!("GetDeviceIPCInfo@127.84.0.{n}=abort")
        }
    });
    let hang = list(7, &|n| {
        let function = if n.is_multiple_of(2) {
            "Login"
        } else {
            "GetDeviceIPCInfo"
        };
        format!("{function}@127.84.0.{n}")
    });
    let leak = list(11, &|n| format!("Login@127.84.0.{n}=64"));
    let site = Site::start(
        84,
        DEVICES,
        &format!(
            "FAKE_NETSDK_CRASH={crash}\nFAKE_NETSDK_HANG={hang}\nFAKE_NETSDK_LEAK={leak}\nFAKE_NETSDK_STDOUT=noise\n"
        ),
    );
    let mut running = site
        .program(&["-b", "netsdk", "--timeout", "4", "-c", "64", "--quiet"])
        .spawn();
    let parent = running.id().unwrap();
    let mut watched = Watched::default();
    let mut look = tokio::time::interval(Duration::from_millis(25));
    let mut ended = std::pin::pin!(running.ended_within(Duration::from_secs(240)));
    let status = loop {
        tokio::select! {
            status = &mut ended => break status,
            _ = look.tick() => watched.look(parent),
        }
    };
    assert_eq!(status.code(), Some(1), "some devices failed");
    let rows = site.results();
    assert_eq!(rows.len(), usize::from(DEVICES));
    for row in &rows {
        let ip = row["nvr_ip"].as_str().unwrap();
        let number: u8 = ip.rsplit('.').next().unwrap().parse().unwrap();
        let code = row["error_code"].as_str();
        // Where a device is to do both, it hangs before it comes to crash.
        if number.is_multiple_of(7) {
            assert_eq!(code, Some("sdk.timeout"), "{row}");
        } else if number.is_multiple_of(5) {
            assert_eq!(code, Some("sdk.crashed"), "{row}");
        } else {
            assert_eq!(row["success"], true, "{row}");
            assert_eq!(row["cameras"].as_array().unwrap().len(), 8);
        }
    }
    assert!(watched.looks > 20, "looked {} times", watched.looks);
    assert!(
        (1..=4).contains(&watched.most),
        "{} helpers at once",
        watched.most
    );
    assert!(watched.exposed.is_empty(), "{:?}", watched.exposed);
    assert!(watched.rss_kib < 200 * 1024, "{} KiB", watched.rss_kib);
    eprintln!(
        "most helpers {}, most RSS {} KiB",
        watched.most, watched.rss_kib
    );
    // None is left behind.
    let mut after = Watched::default();
    after.look(parent);
    assert_eq!(after.most, 0);
    assert_eq!(site.listeners.len(), usize::from(DEVICES));
}

#[tokio::test]
async fn backends_say_what_is_missing_and_what_to_do() {
    let site = Site::start(85, 1, "");
    let folder = site.folder.path();
    let ask = |path: &Path| {
        Program::new("tvtctl", folder)
            .env("TVT_SDK_PATH", path)
            .args(["backends", "--format", "json"])
            .run(Duration::from_secs(60))
    };
    let of = |said: Said| -> Value {
        assert_eq!(said.code, Some(0), "{said:?}");
        let all = said.json()["backends"].as_array().unwrap().clone();
        all.into_iter()
            .find(|row| row["backend"] == "netsdk")
            .unwrap()
    };
    let found = of(ask(folder).await.into());
    assert_eq!(found["usable"], true, "{found}");
    assert_eq!(found["version"], "build 60222 (0x00010003)");
    let library = folder.join(place::NAME);
    let bytes = std::fs::read(&library).unwrap();
    let mut foreign = bytes.clone();
    foreign[18] = 40;
    let mut companion = bytes.clone();
    let at = companion
        .windows(13)
        .position(|w| w == b"libgcc_s.so.1")
        .unwrap();
    companion[at..at + 13].copy_from_slice(b"libShareLi.so");
    for (content, words) in [
        (foreign, "is for arm"),
        (companion, "libShareLi.so"),
        (b"text".to_vec(), "is no 64-bit shared library"),
    ] {
        std::fs::write(&library, content).unwrap();
        let found = of(ask(&library).await.into());
        let detail = found["detail"].as_str().unwrap();
        assert_eq!(found["usable"], false, "{found}");
        assert!(detail.contains(words), "{detail}");
        assert!(detail.contains(library.to_str().unwrap()), "{detail}");
    }
    let found = of(ask(&folder.join("nothing/here")).await.into());
    assert!(
        found["detail"].as_str().unwrap().contains("TVT_SDK_PATH"),
        "{found}"
    );
    // Nothing else is affected, and the library that is missing is a report with a code.
    let (said, rows) = site
        .scan(&["-b", "netsdk", "--sdk-path", "/nowhere/x.so"])
        .await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(rows[0]["error_code"], "sdk.unavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_scans_by_the_library_and_says_from_afar_that_it_has_it() {
    let spec = FleetSpec {
        sites: 1,
        ..FleetSpec::new(11, 2)
    };
    let mut fleet = TestFleet::empty(&spec, Duration::ZERO).await;
    let library = place::install(fleet.folder(), "").unwrap();
    fleet.set("TVT_SDK_PATH", library.to_str().unwrap());
    fleet.start_coordinator();
    fleet.know_sites().await;
    fleet.start_agent(SITES[0]);
    fleet.until_online(1).await;
    says_its_backends(&fleet).await;
    let said = fleet
        .ctl(&["scan", "--all", "--backend", "netsdk", "-o", "all.json"])
        .await
        .ended(0);
    let rows = std::fs::read_to_string(fleet.folder().join("all.json")).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
    assert_eq!(rows.len(), 2, "{said:?}");
    for row in rows {
        assert_eq!(row["backend"], "netsdk", "{row}");
        assert!(
            row["device_name"].as_str().unwrap().starts_with("fake-"),
            "{row}"
        );
    }
    let said = fleet
        .ctl(&[
            "run",
            "disks",
            "--all",
            "--backend",
            "netsdk",
            "--format",
            "json",
        ])
        .await
        .ended(0);
    for device in said.json()["devices"].as_array().unwrap() {
        assert_eq!(device["backend"], "netsdk", "{device}");
        assert_eq!(device["answer"][1]["status"], "unformatted", "{device}");
    }
    // The coordinator's next life reads it from its database.
    fleet.kill_coordinator().await;
    fleet.start_coordinator();
    fleet.until_answering().await;
    says_its_backends(&fleet).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_on_which_the_library_dies_again_and_again_is_left_alone() {
    let spec = FleetSpec {
        sites: 1,
        ..FleetSpec::new(13, 1)
    };
    let mut fleet = TestFleet::empty(&spec, Duration::ZERO).await;
    let trace = fleet.folder().join("trace");
    let faults = format!(
        "FAKE_NETSDK_CRASH=GetDeviceIPCInfo=abort\nFAKE_NETSDK_TRACE={}\n",
        trace.display()
    );
    let library = place::install(fleet.folder(), &faults).unwrap();
    fleet.set("TVT_SDK_PATH", library.to_str().unwrap());
    fleet.start_coordinator();
    fleet.know_sites().await;
    fleet.start_agent(SITES[0]);
    fleet.until_online(1).await;
    let mut codes = Vec::new();
    for _ in 0..4 {
        let scan = ["scan", "--all", "--backend", "netsdk", "-o", "all.json"];
        let _said = fleet.ctl(&scan).await.ended(1);
        let rows = std::fs::read_to_string(fleet.folder().join("all.json")).unwrap();
        let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
        codes.push(rows[0]["error_code"].as_str().unwrap().to_owned());
    }
    let died = "sdk.crashed";
    assert_eq!(codes, [died, died, died, "sdk.unavailable"]);
    let logins = std::fs::read_to_string(&trace).unwrap();
    assert_eq!(logins.matches("Login#1").count(), 3 * 2, "{logins}");
}

async fn says_its_backends(fleet: &TestFleet) {
    let shown = ["agents", "show", SITES[0], "--format", "json"];
    let backends = fleet.ctl(&shown).await.ended(0).json()["backends"].clone();
    let of = |name: &str| {
        let mut rows = backends.as_array().unwrap().iter();
        rows.find(|row| row["backend"] == name).unwrap().clone()
    };
    assert_eq!(of("netsdk")["usable"], true, "{backends}");
    assert_eq!(of("netsdk")["version"], "build 60222 (0x00010003)");
    assert_eq!(of("sdk")["usable"], false);
    assert!(
        of("sdk")["detail"]
            .as_str()
            .unwrap()
            .contains("TVT_API_URL")
    );
}
