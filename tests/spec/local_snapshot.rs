//! `tvtctl local snapshot` against simulated recorders: files, lists, sheets, and what is told.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tvt_sim::{
    DeviceSpec, Fleet, Mark, Options, RtspFault, RtspSpec, Scene, Simulator, StillFault,
    VideoCodec, WebSpec,
};
use tvtfleet_tests::fleet::Said;
use tvtfleet_tests::program::Program;

const PASSWORD: &str = "Fleet-2026";
const LIMIT: Duration = Duration::from_secs(60);

/// One recorder with three channels, of which the second is offline.
struct Bench {
    folder: tempfile::TempDir,
    simulator: Simulator,
}

impl Bench {
    fn start(web: WebSpec, rtsp: RtspSpec) -> Self {
        let mut spec = DeviceSpec::new(([127, 0, 0, 1], 0).into());
        spec.mac = "58:5B:69:0A:0B:0C".parse().unwrap();
        let names = ["../Gate", "Yard", "<b>Hall</b>"];
        spec.cameras = (1..)
            .zip(names)
            .map(|(channel, name)| {
                json!({"channel": channel, "szChlname": name, "szServer": "10.0.0.1", "status": u8::from(channel != 2)})
            })
            .collect();
        (spec.web, spec.rtsp) = (Some(web), Some(rtsp));
        let fleet = Fleet {
            devices: vec![spec],
        };
        let simulator = Simulator::start(fleet, Options::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let port = simulator.devices()[0].address().port();
        let results = json!({"results": [
            {"nvr_ip": "127.0.0.1", "nvr_port": port, "site": "Depot / north"},
        ]});
        std::fs::write(folder.path().join("results.json"), results.to_string()).unwrap();
        Self { folder, simulator }
    }

    async fn snapshot(&self, arguments: &[&str]) -> Said {
        let device = &self.simulator.devices()[0];
        let web = device.web_address().unwrap().port().to_string();
        let rtsp = device.rtsp_address().unwrap().port().to_string();
        Program::new("tvtctl", self.folder.path())
            .env("TVT_PASSWORD", PASSWORD)
            .args(["local", "snapshot", "--from-json", "results.json"])
            .args(["--web-port", &web, "--rtsp-port", &rtsp])
            .args(arguments)
            .run(LIMIT)
            .await
            .into()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).unwrap()
    }

    fn manifest(&self) -> Value {
        serde_json::from_slice(&self.read("out/manifest.json")).unwrap()
    }

    fn mark(&self, channel: u16, stream: u8) -> Mark {
        Mark {
            device: self.simulator.devices()[0].mark(),
            channel,
            stream,
        }
    }
}

fn mark_in(path: &Path) -> Mark {
    let bytes = std::fs::read(path).unwrap();
    let small = tvt_agent::snapshot::thumbnail(&bytes, Scene::width(), Scene::height()).unwrap();
    let luma: Vec<u8> = small.rgb.chunks_exact(3).map(|rgb| rgb[1]).collect();
    Scene::read_mark(&luma).unwrap()
}

#[tokio::test]
async fn every_camera_that_is_there_gets_a_picture_with_a_safe_name() {
    let bench = Bench::start(WebSpec::default(), RtspSpec::default());
    let all = ["--all-channels", "-o", "out", "--sheet", "out/sheet.html"];
    let said = bench.snapshot(&all).await.ended(0);
    assert!(
        said.stderr.contains("ch2: OFFLINE - skipped"),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr
            .contains("Done: 2/2 snapshots captured; 2 taken"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("1 offline skipped"), "{}", said.stderr);
    let manifest = bench.manifest();
    let rows = manifest["pictures"].as_array().unwrap();
    let column = |key: &str| rows.iter().map(|row| row[key].clone()).collect::<Vec<_>>();
    assert_eq!(column("state"), ["taken", "offline", "taken"]);
    assert_eq!(column("channel"), [1, 2, 3]);
    for (row, channel) in [(&rows[0], 1), (&rows[2], 3)] {
        let file = row["file"].as_str().unwrap();
        assert!(
            !file.contains('/') && file.starts_with("Depot___north_127.0.0.1_ch"),
            "{file}"
        );
        let path = bench.folder.path().join("out").join(file);
        assert_eq!(mark_in(&path), bench.mark(channel, 0));
        assert_eq!(row["way"], "webapi");
        assert_eq!(row["flags"], json!([]));
        assert_eq!(row["sha256"].as_str().unwrap().len(), 64);
    }
    let csv = String::from_utf8(bench.read("out/manifest.csv")).unwrap();
    assert_eq!(csv.lines().count(), 4);
    let sheet = String::from_utf8(bench.read("out/sheet.html")).unwrap();
    assert_eq!(sheet.matches("data:image/jpeg;base64,").count(), 2);
    assert!(sheet.contains("&lt;b&gt;Hall") && !sheet.contains("<b>Hall"));
    for text in [
        &said.stdout,
        &said.stderr,
        &sheet,
        &csv,
        &manifest.to_string(),
    ] {
        assert!(!text.contains(PASSWORD));
    }
    let device = &bench.simulator.devices()[0];
    assert_eq!(device.counters().violations, 0);
}

#[tokio::test]
async fn the_main_stream_comes_by_rtsp_and_doubts_are_told() {
    let web = WebSpec {
        still: Some(StillFault::Swapped),
        ..WebSpec::default()
    };
    let rtsp = RtspSpec {
        codec: VideoCodec::H265,
        ..RtspSpec::default()
    };
    let bench = Bench::start(web, rtsp);
    let main = [
        "--all-channels",
        "-o",
        "out",
        "--stream",
        "main",
        "--sheet",
        "s.jpg",
    ];
    let _ = bench.snapshot(&main).await.ended(0);
    let rows = bench.manifest()["pictures"].clone();
    assert_eq!(rows[2]["way"], "rtsp");
    assert_eq!(rows[2]["stream"], "main");
    let file = rows[2]["file"].as_str().unwrap();
    assert_eq!(
        mark_in(&bench.folder.path().join("out").join(file)),
        bench.mark(3, 1)
    );
    let sheet = bench.read("s.jpg");
    assert!(tvt_agent::snapshot::thumbnail(&sheet, 100, 100).is_some());
    // Stills of this recorder are all of its first channel, and never change.
    let _ = bench
        .snapshot(&["--all-channels", "-o", "out"])
        .await
        .ended(0);
    let rows = bench.manifest()["pictures"].clone();
    assert_eq!(rows[0]["flags"], json!([]));
    assert_eq!(rows[2]["flags"], json!(["maybe_swapped"]));
    let _ = bench
        .snapshot(&["--all-channels", "-o", "out"])
        .await
        .ended(0);
    let rows = bench.manifest()["pictures"].clone();
    assert_eq!(rows[0]["flags"], json!(["maybe_stale"]));
}

#[tokio::test]
async fn failures_are_listed_with_their_reasons_and_the_rest_is_kept() {
    let web = WebSpec {
        still: Some(StillFault::Html),
        ..WebSpec::default()
    };
    let rtsp = RtspSpec {
        fault: Some(RtspFault::Full),
        ..RtspSpec::default()
    };
    let bench = Bench::start(web, rtsp);
    let said = bench
        .snapshot(&["--all-channels", "-o", "out", "--format", "csv"])
        .await
        .ended(1);
    assert!(
        said.stderr.contains("failed: 2 picture.not_jpeg"),
        "{}",
        said.stderr
    );
    let rows = bench.manifest()["pictures"].clone();
    assert_eq!(rows[0]["state"], "failed");
    let tried = rows[0]["attempts"].as_array().unwrap();
    assert_eq!(tried[0]["error_code"], "picture.not_jpeg");
    assert_eq!(tried[1]["error_code"], "device.busy");
    assert!(
        said.stdout.starts_with("site,device,channel,"),
        "{}",
        said.stdout
    );
}

#[tokio::test]
async fn addresses_are_printed_without_passwords() {
    let bench = Bench::start(WebSpec::default(), RtspSpec::default());
    let port = bench.simulator.devices()[0].rtsp_address().unwrap().port();
    let said = bench
        .snapshot(&["--all-channels", "--rtsp-url", "--stream-type", "1"])
        .await
        .ended(0);
    let expected: String = [1, 3, 2]
        .map(|channel| format!("rtsp://127.0.0.1:{port}/chID={channel}&streamType=sub\n"))
        .concat();
    assert_eq!(said.stdout, expected);
    assert_eq!(bench.simulator.devices()[0].counters().rtsp_requests, 0);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told_before_anything_is_asked() {
    let bench = Bench::start(WebSpec::default(), RtspSpec::default());
    std::fs::write(bench.folder.path().join("file"), "x").unwrap();
    let said = bench.snapshot(&["-o", "file/out"]).await.ended(3);
    assert!(
        said.stderr.contains("code: output.unwritable"),
        "{}",
        said.stderr
    );
    let said = bench
        .snapshot(&["-o", "out", "--sheet", "s.png"])
        .await
        .ended(2);
    assert!(
        said.stderr.contains("end it in .html or .jpg"),
        "{}",
        said.stderr
    );
    assert_eq!(bench.simulator.devices()[0].counters().connections, 0);
}
