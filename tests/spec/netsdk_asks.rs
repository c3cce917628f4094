//! Asks by the vendor's library: what it says, what it must not tell, and a reboot that is proved.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tvt_fakesdk::place;
use tvtfleet_tests::fleet::Said;
use tvtfleet_tests::program::Program;
use tvtfleet_tests::wait::eventually;

const PASSWORD: &str = "Pa55-in-no-answer";
/// How long the recorder needs to start again: several looks of the agent.
const AWAY: Duration = Duration::from_secs(3);

/// A recorder that takes connections, and the library that speaks for it.
struct Recorder {
    folder: tempfile::TempDir,
    port: u16,
    listener: Option<TcpListener>,
}

impl Recorder {
    fn start(faults: &str) -> Self {
        let listener = TcpListener::bind(("127.86.0.1", 0)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let trace = folder.path().join("trace");
        let faults = format!("{faults}\nFAKE_NETSDK_TRACE={}\n", trace.display());
        place::install(folder.path(), &faults).unwrap();
        let secret = folder.path().join("password");
        std::fs::write(&secret, PASSWORD).unwrap();
        private(&secret);
        Self {
            port: listener.local_addr().unwrap().port(),
            folder,
            listener: Some(listener),
        }
    }

    fn program(&self, ask: &str, arguments: &[&str]) -> Program {
        let address = format!("127.86.0.1:{}", self.port);
        Program::new("tvtctl", self.folder.path())
            .env("TVT_SDK_PATH", self.folder.path())
            .args(["device", ask, &address, "--backend", "netsdk"])
            .args(["--password-file", "password", "--format", "json"])
            .args(arguments)
    }

    async fn ask(&self, ask: &str, arguments: &[&str]) -> Value {
        let running = self.program(ask, arguments);
        let said: Said = running.run(Duration::from_secs(90)).await.into();
        assert!(!said.stdout.contains(PASSWORD) && !said.stderr.contains(PASSWORD));
        said.json()["devices"][0].clone()
    }

    fn trace(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("trace")).unwrap_or_default()
    }
}

impl Recorder {
    /// Pictures of channels over nothing but the library: nobody listens on the other ports.
    async fn pictures(&self, arguments: &[&str]) -> (Said, Value) {
        let closed = TcpListener::bind(("127.86.0.1", 0)).unwrap();
        let port = closed.local_addr().unwrap().port().to_string();
        drop(closed);
        let devices = serde_json::json!({"results": [
            {"nvr_ip": "127.86.0.1", "nvr_port": self.port, "site": "depot"},
        ]});
        let folder = self.folder.path();
        std::fs::write(folder.join("results.json"), devices.to_string()).unwrap();
        let said: Said = Program::new("tvtctl", folder)
            .env("TVT_SDK_PATH", folder)
            .args(["local", "snapshot", "--from-json", "results.json"])
            .args(["--web-port", &port, "--rtsp-port", &port, "-o", "out"])
            .args(["--password-file", "password"])
            .args(arguments)
            .run(Duration::from_secs(90))
            .await
            .into();
        assert!(!said.stdout.contains(PASSWORD) && !said.stderr.contains(PASSWORD));
        let list = std::fs::read(folder.join("out/manifest.json")).unwrap();
        let list: Value = serde_json::from_slice(&list).unwrap();
        (said, list["pictures"].clone())
    }
}

fn private(path: &PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_ask_that_reads_has_its_answer() {
    let url = format!("FAKE_NETSDK_URL=rtsp://admin:{PASSWORD}@127.86.0.1:554/x");
    let recorder = Recorder::start(&format!("FAKE_NETSDK_VERSION=132\n{url}"));
    for (ask, arguments, field, wanted) in [
        ("info", &[][..], "/answer/0/model", "FAKE-NVR8"),
        ("info", &[], "/answer/0/kernel", "kernel"),
        ("clock", &[], "/answer/0/local_time", "2026-11-07 08:09:10"),
        ("disks", &[], "/answer/1/status", "unformatted"),
        ("recording", &[], "/answer/2/state", "exception"),
        (
            "recording",
            &["--channel", "4"],
            "/answer/0/state",
            "recording",
        ),
        (
            "rtsp-url",
            &["--channel", "2"],
            "/answer/1/url",
            "rtsp://127.86.0.1:554/x",
        ),
    ] {
        let row = recorder.ask(ask, arguments).await;
        assert_eq!(row["backend"], "netsdk", "{row}");
        let found = row.pointer(field).and_then(Value::as_str);
        assert_eq!(found, Some(wanted), "{ask}: {row}");
    }
    let trace = recorder.trace();
    assert!(!trace.contains("VIOLATION"), "{trace}");
    let row = recorder.ask("image", &[]).await;
    assert_eq!(row["error_code"], "device.unsupported_variant", "{row}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_come_by_the_library_where_the_web_api_is_closed() {
    for faults in ["", "FAKE_NETSDK_FAIL=CaptureJPEGData_V2=96"] {
        let recorder = Recorder::start(faults);
        let (said, rows) = recorder.pictures(&["--channel", "3"]).await;
        let _said = said.ended(0);
        let row = &rows[0];
        assert_eq!(
            (&row["state"], &row["way"]),
            (&"taken".into(), &"sdk".into())
        );
        assert_eq!((&row["width"], &row["height"]), (&16.into(), &16.into()));
        let file = recorder.folder.path().join("out");
        let file = file.join(row["file"].as_str().unwrap());
        let bytes = std::fs::read(file).unwrap();
        // Channels count from 0 in the library; what stood after the picture is cut off.
        assert!(String::from_utf8_lossy(&bytes).contains("channel 2"));
        assert!(bytes.ends_with(&[0xFF, 0xD9]));
        let trace = recorder.trace();
        assert!(!trace.contains("VIOLATION"), "{trace}");
        assert_eq!(
            (trace.matches("Login#").count(), trace.contains("Logout")),
            (2, true)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_library_gives_as_a_picture_is_checked_as_any_other() {
    for (faults, code) in [
        ("FAKE_NETSDK_PICTURE=cut", "picture.cut_off"),
        ("FAKE_NETSDK_PICTURE=text", "picture.not_jpeg"),
        ("FAKE_NETSDK_CRASH=CaptureJPEGData_V2=abort", "sdk.crashed"),
        ("FAKE_NETSDK_FAIL=CaptureJPEGData_V2=98", "picture.offline"),
        ("FAKE_NETSDK_COUNT=4294967295", "sdk.layout_mismatch"),
    ] {
        let recorder = Recorder::start(faults);
        let (said, rows) = recorder.pictures(&["--channel", "1"]).await;
        let _said = said.ended(1);
        assert_eq!(rows[0]["state"], "failed", "{rows}");
        assert_eq!(rows[0]["error_code"], code, "{rows}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_the_library_tells_as_refused_is_tried_once() {
    let recorder = Recorder::start("FAKE_NETSDK_CREDS=admin:another");
    let (said, rows) = recorder.pictures(&["--channel", "1"]).await;
    let _said = said.ended(1);
    assert_eq!(rows[0]["error_code"], "device.login_rejected", "{rows}");
    let trace = recorder.trace();
    assert_eq!(trace.matches("mismatch").count(), 1, "{trace}");
    assert!(!trace.contains("CaptureJPEG"), "{trace}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reboot_is_sent_once_and_proved_even_where_the_library_dies_of_it() {
    for faults in [
        "",
        "FAKE_NETSDK_CRASH=RebootDVR=abort",
        "FAKE_NETSDK_FAIL=RebootDVR=11",
    ] {
        let mut recorder = Recorder::start(faults);
        let row = recorder.ask("reboot", &["--dry-run"]).await;
        assert_eq!(row["answer"][0]["outcome"], "would_change", "{row}");
        assert!(!recorder.trace().contains("RebootDVR"));
        let program = recorder.program("reboot", &["--yes"]);
        let running = tokio::spawn(program.run(Duration::from_secs(90)));
        eventually("the reboot is sent", || {
            let sent = recorder.trace().contains("RebootDVR");
            async move { sent.then_some(()) }
        })
        .await;
        recorder.listener = None;
        tokio::time::sleep(AWAY).await;
        let again = TcpListener::bind(("127.86.0.1", recorder.port)).unwrap();
        let said: Said = running.await.unwrap().into();
        drop(again);
        let row = said.json()["devices"][0].clone();
        assert_eq!(row["answer"][0]["outcome"], "changed", "{faults}: {row}");
        assert_eq!(recorder.trace().matches("RebootDVR").count(), 1, "{faults}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_reboot_has_failed_and_is_not_sent_again() {
    let recorder = Recorder::start("FAKE_NETSDK_FAIL=RebootDVR=2");
    let row = recorder.ask("reboot", &["--yes"]).await;
    assert_eq!(row["answer"][0]["outcome"], "failed", "{row}");
    assert_eq!(row["error_code"], "device.refused", "{row}");
    assert_eq!(recorder.trace().matches("RebootDVR").count(), 1);
}
