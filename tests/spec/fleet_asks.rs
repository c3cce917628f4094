//! One question to devices of the fleet: a job like any other, with typed answers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tvt_sim::FleetSpec;
use tvtfleet_tests::fleet::TestFleet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ask_goes_to_the_sites_and_its_answers_are_kept() {
    let spec = FleetSpec {
        web: true,
        ..FleetSpec::new(31, 2)
    };
    let fleet = TestFleet::start(&spec, Duration::ZERO).await;
    let said = fleet
        .ctl(&["run", "clock", "--site", "acme/north", "--format", "json"])
        .await
        .ended(0);
    let document = said.json();
    assert_eq!(document["ask"], "clock");
    let devices = document["devices"].as_array().unwrap();
    assert_eq!(devices.len(), 2);
    for device in devices {
        assert_eq!(device["site"], "acme/north");
        assert_eq!(device["backend"], "webapi");
        let drift = device["answer"][0]["drift_ms"].as_i64().unwrap();
        assert!(drift.abs() < 5_000, "{drift}");
    }
    let said = fleet
        .ctl(&["run", "users", "--all", "--format", "csv"])
        .await
        .ended(0);
    assert_eq!(said.stdout.lines().count(), 3, "{}", said.stdout);
    assert!(
        said.stdout
            .starts_with("site,device,success,error_code,id,username")
    );
    assert!(
        said.stdout
            .contains(",admin,default_admin,true,Administrator,")
    );

    // A scan of these recorders knows more than the binary protocol tells.
    let said = fleet
        .ctl(&["scan", "--all", "--format", "json"])
        .await
        .ended(0);
    for row in said.json().as_array().unwrap() {
        assert_eq!(row["device_model"], "TD-EX3316");
        assert!(!row["serial_number"].as_str().unwrap().is_empty());
    }
    // Asks that change nothing of what is known leave no change behind.
    let said = fleet.ctl(&["run", "info", "--all"]).await.ended(0);
    assert!(said.stdout.contains("TD-EX3316"), "{}", said.stdout);

    // Devices of a file join the site and are asked; an entry that cannot be used is not passed over.
    let rows = fleet.ctl(&["inventory", "list", "--format", "json"]).await;
    let known = &rows.ended(0).json()["devices"][0];
    let file = fleet.folder().join("more.json");
    let entry = serde_json::json!({"ip": known["host"], "port": known["port"]});
    std::fs::write(
        &file,
        serde_json::json!([entry, {"ip": "no address"}]).to_string(),
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let run = ["run", "info", "--inventory", file, "--site", "acme/north"];
    let said = fleet.ctl(&run).await.ended(1);
    assert_eq!(said.stdout.matches("TD-EX3316").count(), 1, "{said:?}");
    assert!(said.stderr.contains("no address"), "{said:?}");
    let counters = fleet.simulator.totals();
    assert_eq!((counters.logins_failed, counters.violations), (0, 0));
}

/// A fleet whose first site allows changes.
async fn changeable() -> TestFleet {
    changeable_at(1, 3).await
}

async fn changeable_at(sites: usize, devices: usize) -> TestFleet {
    let spec = FleetSpec {
        web: true,
        sites,
        ..FleetSpec::new(32, devices)
    };
    let mut fleet = TestFleet::empty(&spec, Duration::ZERO).await;
    fleet.agent_lines =
        "[policy]\nasks = ['services', 'set-services', 'streams', 'set-streams', 'set-osd', \
         'set-audio', 'set-image', 'set-clock', 'set-platform']\n"
            .to_owned();
    fleet.start_coordinator();
    fleet.know_sites().await;
    for site in fleet.sites() {
        fleet.start_agent(site);
    }
    fleet.until_online(fleet.sites().len()).await;
    fleet
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_of_a_fleet_are_switched_and_switched_back() {
    let fleet = changeable().await;
    let set = [
        "run",
        "set-services",
        "--all",
        "--set",
        "rtsp=false",
        "--format",
        "json",
    ];
    let unconfirmed = fleet.ctl(&set).await.ended(2);
    assert!(
        unconfirmed.stderr.contains("change.unconfirmed"),
        "{}",
        unconfirmed.stderr
    );
    let with = |more: &'static str| [&set[..], &[more]].concat();
    let outcomes = |said: &tvtfleet_tests::fleet::Said| -> Vec<String> {
        let document = said.json();
        let devices = document["devices"].as_array().unwrap().clone();
        let rows = devices
            .iter()
            .flat_map(|device| device["answer"].as_array().unwrap().clone());
        rows.map(|row| format!("{} {} {}", row["old"], row["new"], row["outcome"]))
            .collect()
    };
    let dry = fleet.ctl(&with("--dry-run")).await.ended(0);
    assert_eq!(outcomes(&dry), vec![r#""true" "false" "would_change""#; 3]);
    let writes = || -> usize {
        let devices = fleet.simulator.devices().iter();
        devices.map(|device| device.web_writes().len()).sum()
    };
    assert_eq!(writes(), 0);
    let changed = fleet.ctl(&with("--yes")).await.ended(0);
    assert_eq!(outcomes(&changed), vec![r#""true" "false" "changed""#; 3]);
    assert_eq!(writes(), 3);
    let undo = [
        "run",
        "set-services",
        "--all",
        "--undo",
        "last",
        "--yes",
        "--format",
        "json",
    ];
    let undone = fleet.ctl(&undo).await.ended(0);
    assert_eq!(outcomes(&undone), vec![r#""false" "true" "changed""#; 3]);
    // What the policy of the sites does not name is refused there.
    let refused = fleet
        .ctl(&["run", "reboot", "--all", "--yes", "--format", "json"])
        .await
        .ended(1);
    assert!(refused.stdout.contains("device.policy_refused"));
    assert_eq!(writes(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_of_settings_can_be_undone_channel_by_channel() {
    let fleet = changeable_at(1, 1).await;
    for (ask, settings) in [
        ("set-image", &["bright=60", "mirror=false"][..]),
        ("set-streams", &["stream=1", "frame_rate=12"]),
        ("set-osd", &["name=Yard"]),
        ("set-audio", &["enabled=false"]),
        ("set-clock", &["sync=manually", "time=now"]),
        ("set-platform", &["port=2010", "enabled=false"]),
    ] {
        // One channel is other than the rest before, and is so again afterwards.
        let run = |more: &[&str]| {
            let words = [&["run", ask, "--all", "--yes", "--format", "json"], more].concat();
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            let fleet = &fleet;
            async move {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let said = fleet.ctl(&words).await.ended(0);
                let rows = said.json()["devices"][0]["answer"]
                    .as_array()
                    .unwrap()
                    .clone();
                let text = |row: &serde_json::Value, key: &str| {
                    let value = &row[key];
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned)
                };
                let row = |row: &serde_json::Value| {
                    ["channel", "setting", "old", "new", "outcome"].map(|key| text(row, key))
                };
                rows.iter().map(row).collect::<Vec<_>>()
            }
        };
        let set: Vec<&str> = settings.iter().flat_map(|one| ["--set", one]).collect();
        if matches!(ask, "set-image" | "set-osd" | "set-streams") {
            let first = match ask {
                "set-image" => "bright=7",
                "set-osd" => "name=Seven",
                _ => "frame_rate=7",
            };
            run(&["--channel", "2", "--set", first]).await;
        }
        let changed = run(&set).await;
        assert!(!changed.is_empty(), "{ask}");
        let undone = run(&["--undo", "last"]).await;
        let back = |rows: &[[String; 5]]| {
            let mut pairs: Vec<_> = rows
                .iter()
                .filter(|row| row[1] != "time" && row[4] == "changed")
                .map(|[channel, setting, old, new, _]| {
                    (channel.clone(), setting.clone(), old.clone(), new.clone())
                })
                .collect();
            pairs.sort();
            pairs
        };
        let mut wanted: Vec<_> = back(&changed)
            .into_iter()
            .map(|(channel, setting, old, new)| (channel, setting, new, old))
            .collect();
        wanted.sort();
        assert_eq!(back(&undone), wanted, "{ask}");
        assert!(!wanted.is_empty(), "{ask}: {changed:?}");
        // What was undone can be undone again.
        assert_eq!(
            back(&run(&["--undo", "last"]).await),
            back(&changed),
            "{ask}"
        );
    }
    // What has no earlier state is refused before anything is sent.
    for words in [
        &["run", "reboot", "--all", "--undo", "last", "--yes"][..],
        &["run", "set-password", "--all", "--undo", "last", "--yes"],
    ] {
        let said = fleet.ctl(words).await.ended(2);
        assert!(said.stderr.contains("usage.invalid"), "{}", said.stderr);
    }
    let only_time = ["run", "set-clock", "--all", "--yes", "--set", "time=now"];
    let _ = fleet.ctl(&only_time).await.ended(0);
    let undo = ["run", "set-clock", "--all", "--yes", "--undo", "last"];
    let said = fleet.ctl(&undo).await.ended(2);
    assert!(said.stderr.contains("has passed"), "{}", said.stderr);
}

fn of_site<'a>(fleet: &'a TestFleet, site: &str) -> Vec<&'a Arc<tvt_sim::Device>> {
    // The inventories of the simulator's sites are those of the fleet's, in their order.
    let devices = || fleet.simulator.devices().iter();
    let names: BTreeSet<String> = devices().map(|device| device.spec().site).collect();
    let place = fleet.sites().iter().position(|known| *known == site);
    let name = names.iter().nth(place.unwrap()).unwrap();
    devices()
        .filter(|device| device.spec().site == *name)
        .collect()
}

async fn with_fault(device: &Arc<tvt_sim::Device>, write_fault: Option<tvt_sim::WriteFault>) {
    let web = tvt_sim::WebSpec {
        write_fault,
        ..device.spec().web.unwrap()
    };
    let mutation = tvt_sim::Mutation::SetWeb { web };
    device.apply(mutation).await.unwrap();
}

fn writes(devices: &[&Arc<tvt_sim::Device>]) -> usize {
    devices.iter().map(|device| device.web_writes().len()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_in_the_canary_leaves_the_other_sites_alone() {
    let fleet = changeable_at(2, 4).await;
    let sites = fleet.sites();
    for device in of_site(&fleet, sites[0]) {
        with_fault(device, Some(tvt_sim::WriteFault::Refused(31))).await;
    }
    let set = [
        "run",
        "set-services",
        "--all",
        "--set",
        "rtsp=false",
        "--yes",
    ];
    let said = fleet
        .ctl(&[&set[..], &["--format", "json"]].concat())
        .await
        .ended(1);
    let document = said.json();
    let codes: Vec<String> = document["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|device| format!("{} {}", device["site"], device["error_code"]))
        .collect();
    let stopped = |site: &str| format!("\"{site}\" \"change.stopped\"");
    let elsewhere: Vec<_> = codes
        .iter()
        .filter(|code| code.starts_with(&format!("\"{}\"", sites[1])))
        .collect();
    assert_eq!(elsewhere, [&stopped(sites[1]); 2], "{codes:?}");
    assert!(
        codes
            .iter()
            .any(|code| code.contains("device.request_refused"))
    );
    assert_eq!(writes(&of_site(&fleet, sites[0])), 1);
    assert_eq!(writes(&of_site(&fleet, sites[1])), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_sites_wait_for_the_canary_also_while_the_coordinator_is_away() {
    let mut fleet = changeable_at(2, 4).await;
    let sites = fleet.sites();
    // It is changed and does not say so until its time is up.
    for device in of_site(&fleet, sites[0]) {
        with_fault(device, Some(tvt_sim::WriteFault::MuteAfter)).await;
    }
    let set = [
        "run",
        "set-services",
        "--all",
        "--set",
        "rtsp=false",
        "--yes",
    ];
    let said = fleet
        .ctl(&[&set[..], &["--detach"]].concat())
        .await
        .ended(0);
    let job = said.stdout.trim().to_owned();
    let begun = || async { (writes(&of_site(&fleet, sites[0])) == 1).then_some(()) };
    tvtfleet_tests::wait::eventually("the canary is changed", begun).await;
    assert_eq!(writes(&of_site(&fleet, sites[1])), 0);
    fleet.kill_coordinator().await;
    for device in of_site(&fleet, sites[0]) {
        with_fault(device, None).await;
    }
    fleet.start_coordinator();
    fleet.until_answering().await;
    let _ = fleet.ctl(&["jobs", "wait", &job]).await.ended(0);
    for site in sites {
        assert_eq!(writes(&of_site(&fleet, site)), 2, "{site}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sites_that_waited_for_a_canary_in_vain_are_told_so_at_the_deadline() {
    let mut fleet = changeable_at(2, 2).await;
    let sites = fleet.sites();
    fleet.kill_agent(sites[0]).await;
    let set = [
        "run",
        "set-services",
        "--all",
        "--set",
        "rtsp=false",
        "--yes",
    ];
    let more = ["--deadline", "3s", "--format", "json"];
    let said = fleet.ctl(&[&set[..], &more].concat()).await;
    assert_ne!(said.code, Some(0), "{}", said.stderr);
    let document = said.json();
    let devices = document["devices"].as_array().unwrap().clone();
    let mut codes: Vec<_> = devices
        .iter()
        .map(|device| (device["site"].clone(), device["error_code"].clone()))
        .collect();
    codes.sort_by_key(|(site, _)| site.to_string());
    assert_eq!(codes[0].1, "site.offline");
    assert_eq!(codes[1].1, "change.stopped");
    assert_eq!(writes(&of_site(&fleet, sites[1])), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_a_crash_interrupts_is_settled_by_looking() {
    for (fault, outcome) in [
        (tvt_sim::WriteFault::MuteAfter, "changed"),
        (tvt_sim::WriteFault::MuteBefore, "failed"),
    ] {
        let mut fleet = changeable().await;
        let device = Arc::clone(&fleet.simulator.devices()[0]);
        let web = |write_fault| tvt_sim::WebSpec {
            write_fault,
            ..device.spec().web.unwrap()
        };
        let held = tvt_sim::Mutation::SetWeb {
            web: web(Some(fault)),
        };
        device.apply(held).await.unwrap();
        let site = fleet.sites()[0];
        let job = fleet
            .ctl(&[
                "run",
                "set-services",
                "--site",
                site,
                "--set",
                "rtsp=false",
                "--yes",
                "--detach",
            ])
            .await
            .ended(0);
        let job = job.stdout.trim().to_owned();
        let sent = || async { (!device.web_writes().is_empty()).then_some(()) };
        tvtfleet_tests::wait::eventually("the change is sent", sent).await;
        fleet.kill_agent(site).await;
        let free = tvt_sim::Mutation::SetWeb { web: web(None) };
        device.apply(free).await.unwrap();
        fleet.start_agent(site);
        let waited = fleet.ctl(&["jobs", "wait", &job]).await;
        assert!(matches!(waited.code, Some(0 | 1)), "{}", waited.stderr);
        let results = fleet
            .ctl(&["jobs", "results", &job, "--format", "json"])
            .await;
        assert!(
            results.stdout.contains(outcome),
            "{outcome}: {}",
            results.stdout
        );
        assert_eq!(device.web_writes().len(), 1, "it is not sent again");
    }
}
