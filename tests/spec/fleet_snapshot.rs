//! Pictures of the fleet: from the cameras over the agents and the coordinator to a folder, over lines
//! that are slow or cut and disks that are full.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tvt_sim::{FleetSpec, Mark, Options, RtspSpec, Scene, StillFault};
use tvtfleet_proto::model::picture::CHUNK;
use tvtfleet_tests::fleet::TestFleet;
use tvtfleet_tests::line::Line;
use tvtfleet_tests::wait::eventually;

/// Recorders with web interfaces at the first site.
fn spec(devices: usize, channels: u32) -> FleetSpec {
    FleetSpec {
        web: true,
        channels,
        ..FleetSpec::new(47, devices)
    }
}

/// A fleet whose stills have these faults, one after the other.
async fn fleet_with(stills: &[Option<StillFault>], channels: u32) -> TestFleet {
    let spec = spec(stills.len(), channels);
    let mut recorders = spec.generate().unwrap();
    for (recorder, still) in recorders.devices.iter_mut().zip(stills) {
        recorder.web.as_mut().unwrap().still = *still;
    }
    let options = Options {
        seed: spec.seed,
        ..Options::default()
    };
    TestFleet::of(recorders, options).await
}

/// Starts the coordinator and the agent of the first site.
async fn begin(fleet: &mut TestFleet) {
    fleet.start_coordinator();
    fleet.know_sites().await;
    fleet.start_agent("acme/north");
    fleet.until_online(1).await;
}

fn mark_in(path: &Path) -> Mark {
    let bytes = std::fs::read(path).unwrap();
    let small = tvt_agent::snapshot::thumbnail(&bytes, Scene::width(), Scene::height()).unwrap();
    let luma: Vec<u8> = small.rgb.chunks_exact(3).map(|rgb| rgb[1]).collect();
    Scene::read_mark(&luma).unwrap()
}

fn manifest(fleet: &TestFleet, folder: &str) -> Vec<Value> {
    let path = fleet.folder().join(folder).join("manifest.json");
    let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    document["pictures"].as_array().unwrap().clone()
}

/// Puts bytes where an agent finds them as a picture of its last life. Returns their digest.
fn left_over(fleet: &TestFleet, seed: u8, size: usize) -> String {
    let bytes: Vec<u8> = (0..size)
        .map(|at| seed.wrapping_add(u8::try_from(at % 249).unwrap()))
        .collect();
    let digest: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let folder = shelf(fleet);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(&digest), bytes).unwrap();
    digest
}

fn shelf(fleet: &TestFleet) -> PathBuf {
    fleet.agent_folder("acme/north").join("pictures")
}

fn waiting(fleet: &TestFleet) -> usize {
    std::fs::read_dir(shelf(fleet)).unwrap().count()
}

fn at_coordinator(fleet: &TestFleet, name: &str) -> PathBuf {
    fleet.folder().join("coordinator/pictures/acme").join(name)
}

fn stored(fleet: &TestFleet, digest: &str) -> PathBuf {
    let start = digest.get(..2).unwrap();
    at_coordinator(fleet, &format!("{start}/{digest}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_camera_of_a_site_gets_its_own_picture() {
    let mut fleet = fleet_with(&[None, None], 12).await;
    begin(&mut fleet).await;
    let take = [
        "snapshot",
        "--site",
        "acme/north",
        "--all-channels",
        "-o",
        "out",
        "--sheet",
        "out/sheet.html",
        "--format",
        "json",
    ];
    let said = fleet.ctl(&take).await.ended(0);
    let rows = manifest(&fleet, "out");
    assert_eq!(
        said.json()["pictures"].as_array().unwrap().len(),
        rows.len()
    );
    assert_eq!(rows.len(), 24, "every channel is listed");
    let devices = fleet.simulator.devices();
    let mut taken = 0;
    for row in &rows {
        if row["state"] == "offline" {
            assert_eq!(row["error_code"], "picture.offline");
            continue;
        }
        taken += 1;
        assert_eq!(
            (&row["state"], &row["way"]),
            (&json!("taken"), &json!("webapi"))
        );
        let device = devices
            .iter()
            .find(|device| device.address().ip().to_string() == row["device"])
            .unwrap();
        let expected = Mark {
            device: device.mark(),
            channel: u16::try_from(row["channel"].as_u64().unwrap()).unwrap(),
            stream: 0,
        };
        let file = fleet
            .folder()
            .join("out")
            .join(row["file"].as_str().unwrap());
        assert_eq!(mark_in(&file), expected);
        assert_eq!(row["flags"], json!([]));
    }
    assert!(taken > 0 && taken < 24, "some cameras are away: {taken}");
    let told = format!("Done: {taken}/{taken} snapshots captured; {taken} taken");
    assert!(said.stderr.contains(&told), "{}", said.stderr);
    let away = format!("{} offline skipped", 24 - taken);
    assert!(said.stderr.contains(&away), "{}", said.stderr);
    let sheet = std::fs::read_to_string(fleet.folder().join("out/sheet.html")).unwrap();
    assert_eq!(sheet.matches("data:image/jpeg;base64,").count(), taken);
    eventually("the site has nothing left to send", || async {
        (waiting(&fleet) == 0).then_some(())
    })
    .await;

    let sql = "SELECT site, channel, way, stored, flags, length(sha256) AS digits FROM pictures ORDER BY picture";
    let said = fleet.ctl(&["sql", sql, "--format", "json"]).await.ended(0);
    assert_eq!(
        said.stdout.matches("acme/north").count(),
        taken,
        "{}",
        said.stdout
    );
    assert!(said.stdout.contains("64"), "{}", said.stdout);
    let device = format!(
        "{}:{}",
        rows[0]["device"].as_str().unwrap(),
        rows[0]["port"]
    );
    let said = fleet.ctl(&["inventory", "show", &device]).await.ended(0);
    assert!(
        said.stdout.contains("webapi") && said.stdout.contains("LAST PICTURE"),
        "{}",
        said.stdout
    );

    // Once more, from what the coordinator has; nobody is asked again.
    let asked = fleet.simulator.totals().connections;
    let said = fleet
        .ctl(&["jobs", "pictures", "last", "-o", "again"])
        .await
        .ended(0);
    assert!(said.stderr.contains(&told), "{}", said.stderr);
    assert_eq!(fleet.simulator.totals().connections, asked);
    assert_eq!(manifest(&fleet, "again"), rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubts_and_failures_are_told_by_the_fleet_too() {
    let faults = [
        Some(StillFault::Swapped),
        Some(StillFault::Stale),
        Some(StillFault::Truncated),
        Some(StillFault::Html),
    ];
    let mut fleet = fleet_with(&faults, 2).await;
    begin(&mut fleet).await;
    let take = ["snapshot", "--all", "--all-channels", "-o", "out"];
    let said = fleet.ctl(&take).await.ended(1);
    for reason in ["picture.cut_off", "picture.not_jpeg"] {
        assert!(said.stderr.contains(reason), "{}", said.stderr);
    }
    let flags = |place: usize, channel: u64| -> Value {
        let device = fleet.simulator.devices()[place].address().ip().to_string();
        let rows = manifest(&fleet, "out");
        let row = rows
            .iter()
            .find(|row| row["device"] == device && row["channel"] == channel);
        row.unwrap()["flags"].clone()
    };
    assert_eq!((flags(0, 1), flags(1, 1)), (json!([]), json!([])));
    assert_eq!(
        flags(0, 2),
        json!(["maybe_swapped"]),
        "of the first channel"
    );
    // Against what the fleet stored before, and not against the folder.
    std::fs::remove_dir_all(fleet.folder().join("out")).unwrap();
    let _ = fleet.ctl(&take).await.ended(1);
    assert_eq!(
        (flags(1, 1), flags(1, 2)),
        (json!(["maybe_stale"]), json!(["maybe_stale"]))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cameras_are_asked_themselves_with_the_credential_of_a_label() {
    let spec = spec(1, 2);
    let mut recorders = spec.generate().unwrap();
    let recorder = recorders.devices.first_mut().unwrap();
    // What stands behind the channels is the recorder once more: it has the streams of a camera too.
    for camera in &mut recorder.cameras {
        camera["szServer"] = json!(recorder.ip.to_string());
    }
    recorder.rtsp = Some(RtspSpec::default());
    let options = Options {
        seed: spec.seed,
        ..Options::default()
    };
    let mut fleet = TestFleet::of(recorders, options).await;
    let device = &fleet.simulator.devices()[0];
    let port = device.rtsp_address().unwrap().port();
    fleet.agent_lines = format!("[pictures]\ncamera_port = {port}\n");
    let file = fleet.folder().join("credentials.toml");
    let known = std::fs::read_to_string(&file).unwrap();
    let cameras = known.split_once("[credentials.recorders]").unwrap().1;
    std::fs::write(&file, format!("{known}\n[credentials.cameras]{cameras}")).unwrap();
    begin(&mut fleet).await;
    let inventory = fleet.inventory("acme/north").to_owned();
    let mut take = vec!["snapshot", "--site", "acme/north", "--channel", "2"];
    take.extend(["--inventory", inventory.to_str().unwrap(), "-o", "out"]);
    take.push("--camera-credential");
    let _ = fleet
        .ctl(&[&take[..], &["cameras"]].concat())
        .await
        .ended(0);
    let rows = manifest(&fleet, "out");
    assert_eq!((rows.len(), &rows[0]["way"]), (1, &json!("rtsp-camera")));
    let file = rows[0]["file"].as_str().unwrap();
    let mark = mark_in(&fleet.folder().join("out").join(file));
    assert_eq!(
        (mark.channel, mark.stream),
        (1, 2),
        "the camera's own picture"
    );
    // A label that the site does not have is no reason to show another credential.
    let refused = fleet.ctl(&[&take[..], &["others"]].concat()).await.ended(1);
    let code = &manifest(&fleet, "out")[0]["error_code"];
    assert_eq!(code, "device.credential_missing", "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_line_goes_on_at_the_piece_where_it_stopped() {
    let mut fleet = TestFleet::empty(&spec(1, 1), Duration::ZERO).await;
    let line = Line::to(fleet.nats.port()).await;
    fleet.agent_urls = vec![line.url()];
    let size = 16 * usize::try_from(CHUNK).unwrap();
    let digest = left_over(&fleet, 1, size);
    line.set_rate(512 * 1024);
    begin(&mut fleet).await;
    let growing = at_coordinator(&fleet, &format!("incoming/north.{digest}"));
    let grown = || std::fs::metadata(&growing).map_or(0, |file| file.len());
    eventually("part of the picture", || async {
        (grown() >= 4 * CHUNK).then_some(())
    })
    .await;
    line.cut();
    assert!(
        !stored(&fleet, &digest).exists(),
        "it was to be cut before the end"
    );
    let before = line.sent();
    line.set_rate(0);
    line.mend();
    eventually("the picture", || async {
        (stored(&fleet, &digest).exists() && waiting(&fleet) == 0).then_some(())
    })
    .await;
    let after = usize::try_from(line.sent() - before).unwrap();
    let kept = 4 * usize::try_from(CHUNK).unwrap();
    assert!(
        after < size - kept + 64 * 1024,
        "{after} bytes after the cut of {size}"
    );
    let bytes = std::fs::read(stored(&fleet, &digest)).unwrap();
    assert_eq!(bytes.len(), size);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_do_not_delay_reports() {
    let mut fleet = TestFleet::empty(&spec(8, 8), Duration::ZERO).await;
    let line = Line::to(fleet.nats.port()).await;
    fleet.agent_urls = vec![line.url()];
    for seed in 0..8 {
        left_over(&fleet, seed, 4 * 1024 * 1024);
    }
    // 32 MB take more than a minute.
    line.set_rate(512 * 1024);
    begin(&mut fleet).await;
    let before = line.sent();
    eventually("pictures on their way", || async {
        (line.sent() > before + 256 * 1024).then_some(())
    })
    .await;
    let began = Instant::now();
    let _ = fleet
        .ctl(&["scan", "--all", "--format", "summary"])
        .await
        .ended(0);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert!(waiting(&fleet) > 4, "pictures were still waiting");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_at_the_coordinator_holds_pictures_back_and_loses_none() {
    let mut fleet = TestFleet::empty(&spec(2, 2), Duration::ZERO).await;
    // Nothing may be stored, and the stream holds a megabyte.
    fleet.coordinator_lines =
        "[pictures]\nmin_free_mb = 1000000000000\nstream_max_mb = 1\n".to_owned();
    let digests: Vec<String> = (0..3)
        .map(|seed| left_over(&fleet, seed, 700_000))
        .collect();
    begin(&mut fleet).await;
    let reason = |log: Vec<String>, code: &str| log.iter().any(|line| line.contains(code));
    eventually("the coordinator's word", || async {
        reason(fleet.coordinator_log(), "storage.full").then_some(())
    })
    .await;
    eventually("the agent's word", || async {
        let log = fleet.agent_log("acme/north");
        let waits = reason(log.clone(), "pictures wait to be sent");
        (waits && (reason(log.clone(), "storage.full") || reason(log, "bus.stream"))).then_some(())
    })
    .await;
    // Work goes on: pictures of a job are taken, and its reports arrive.
    let said = fleet.ctl(&["snapshot", "--all", "--detach"]).await.ended(0);
    let job = said.stdout.trim().to_owned();
    let _ = fleet.ctl(&["jobs", "wait", &job]).await.ended(0);
    let list = ["jobs", "pictures", &job, "--wait", "1s"];
    let said = fleet.ctl(&list).await.ended(1);
    assert!(said.stdout.contains("picture.waiting"), "{}", said.stdout);

    fleet.kill_coordinator().await;
    fleet.coordinator_lines = "[pictures]\nmin_free_mb = 0\n".to_owned();
    fleet.start_coordinator();
    eventually("every picture", || async {
        let here = digests.iter().all(|digest| stored(&fleet, digest).exists());
        (here && waiting(&fleet) == 0).then_some(())
    })
    .await;
    let said = fleet.ctl(&["jobs", "pictures", &job, "-o", "out"]).await;
    let said = said.ended(0);
    assert!(
        said.stderr.contains("2/2 snapshots captured"),
        "{}",
        said.stderr
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_without_room_says_so_for_each_picture() {
    let mut fleet = TestFleet::empty(&spec(1, 1), Duration::ZERO).await;
    fleet.coordinator_lines = "[pictures]\nmin_free_mb = 1000000000000\n".to_owned();
    fleet.agent_lines = "[pictures]\nwaiting_max_mb = 1\n".to_owned();
    left_over(&fleet, 1, 1024 * 1024);
    begin(&mut fleet).await;
    let take = [
        "snapshot",
        "--all",
        "-o",
        "out",
        "--device-timeout",
        "3s",
        "--format",
        "json",
    ];
    let said = fleet.ctl(&take).await.ended(1);
    assert!(
        said.stderr.contains("1 picture.not_kept"),
        "{}",
        said.stderr
    );
    let rows = manifest(&fleet, "out");
    assert_eq!(rows[0]["error_code"], "picture.not_kept");
    assert_eq!(waiting(&fleet), 1, "what was there is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_that_a_site_lost_is_not_waited_for() {
    let mut fleet = TestFleet::empty(&spec(1, 1), Duration::ZERO).await;
    // Nothing may be stored, and the stream holds less than the picture that is in front.
    fleet.coordinator_lines =
        "[pictures]\nmin_free_mb = 1000000000000\nstream_max_mb = 1\n".to_owned();
    let first = left_over(&fleet, 1, 2_000_000);
    begin(&mut fleet).await;
    let said = fleet.ctl(&["snapshot", "--all", "--detach"]).await.ended(0);
    let job = said.stdout.trim().to_owned();
    let _ = fleet.ctl(&["jobs", "wait", &job]).await.ended(0);
    for entry in std::fs::read_dir(shelf(&fleet)).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with(&first) {
            std::fs::remove_file(path).unwrap();
        }
    }
    fleet.kill_coordinator().await;
    fleet.coordinator_lines = "[pictures]\nmin_free_mb = 0\n".to_owned();
    fleet.start_coordinator();
    eventually("the picture in front", || async {
        stored(&fleet, &first).exists().then_some(())
    })
    .await;
    let list = ["jobs", "pictures", &job, "--wait", "10m", "-o", "out"];
    let said = fleet.ctl(&list).await.ended(1);
    assert!(said.stderr.contains("picture.not_kept"), "{}", said.stderr);
    let rows = manifest(&fleet, "out");
    assert_eq!(rows[0]["flags"], json!(["dropped"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_pictures_give_way_to_new_ones() {
    let mut fleet = TestFleet::empty(&spec(1, 1), Duration::ZERO).await;
    fleet.coordinator_lines = "[pictures]\nper_channel = 2\nsweep_ms = 200\n".to_owned();
    begin(&mut fleet).await;
    for _ in 0..4 {
        let _ = fleet
            .ctl(&["snapshot", "--all", "-o", "out"])
            .await
            .ended(0);
    }
    eventually("two pictures", || async {
        let said = fleet
            .ctl(&["sql", "SELECT count(*) AS n FROM pictures"])
            .await;
        said.stdout
            .lines()
            .any(|line| line.trim() == "2")
            .then_some(())
    })
    .await;
}

/// A small disk of its own at a folder, while this lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one; `None` where this user may not.
    fn at(folder: &Path, megabytes: usize) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let size = format!("size={megabytes}m,mode=0700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tvtfleet-test"])
            .arg(folder)
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(folder.to_owned()));
        }
        println!("skipped: only root may mount a small disk");
        None
    }

    /// Fills it to the last byte, and returns the file that does.
    fn fill(&self) -> PathBuf {
        use std::io::Write as _;
        let path = self.0.join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        let block = vec![1; 64 * 1024];
        while file.write_all(&block).is_ok() {}
        while file.write_all(&[1]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: programs of the test may still have files open.
        let _gone = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_really_full_at_the_coordinator_is_waited_for() {
    let mut fleet = TestFleet::empty(&spec(1, 2), Duration::ZERO).await;
    fleet.coordinator_lines = "[pictures]\nmin_free_mb = 0\n".to_owned();
    let pictures = fleet.folder().join("coordinator/pictures");
    let Some(disk) = SmallDisk::at(&pictures, 4) else {
        return;
    };
    let filler = disk.fill();
    let digests: Vec<String> = (0..3)
        .map(|seed| left_over(&fleet, seed, 500_000))
        .collect();
    begin(&mut fleet).await;
    eventually("the coordinator's word", || async {
        let log = fleet.coordinator_log();
        log.iter()
            .any(|line| line.contains("storage.full"))
            .then_some(())
    })
    .await;
    // Reports are not held back by pictures that are.
    let _ = fleet
        .ctl(&["scan", "--all", "-o", "all.csv"])
        .await
        .ended(0);
    assert!(!digests.iter().any(|digest| stored(&fleet, digest).exists()));
    std::fs::remove_file(filler).unwrap();
    eventually("every picture", || async {
        let here = digests.iter().all(|digest| stored(&fleet, digest).exists());
        (here && waiting(&fleet) == 0).then_some(())
    })
    .await;
    for digest in &digests {
        let bytes = std::fs::read(stored(&fleet, digest)).unwrap();
        let found: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(&found, digest, "nothing half written is kept");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_really_full_at_the_agent_is_told_for_each_picture() {
    let mut fleet = TestFleet::empty(&spec(1, 2), Duration::ZERO).await;
    let Some(disk) = SmallDisk::at(&shelf(&fleet), 1) else {
        return;
    };
    begin(&mut fleet).await;
    let filler = disk.fill();
    let take = ["snapshot", "--all", "--all-channels", "-o", "out"];
    let soon = ["--device-timeout", "5s"];
    let said = fleet.ctl(&[&take[..], &soon].concat()).await.ended(1);
    for row in manifest(&fleet, "out") {
        let code = row["error_code"].as_str().unwrap().to_owned();
        let told = ["picture.not_kept", "storage.full"].contains(&code.as_str());
        assert!(told || row["state"] == "offline", "{row} {}", said.stderr);
    }
    // The device answered, and its report came although no picture could be kept.
    let _ = fleet
        .ctl(&["scan", "--all", "-o", "all.csv"])
        .await
        .ended(0);
    std::fs::remove_file(filler).unwrap();
    let said = fleet.ctl(&take).await.ended(0);
    assert!(
        said.stderr.contains("snapshots captured"),
        "{}",
        said.stderr
    );
}
