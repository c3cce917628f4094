//! Asks by an HTTP bridge: what is sent, what it says, what it must not tell, and a reboot that is proved.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tvtfleet_tests::bridge::{BridgeDouble, Habit};
use tvtfleet_tests::fleet::Said;
use tvtfleet_tests::program::Program;
use tvtfleet_tests::wait::eventually;

const PASSWORD: &str = "Pa55-in-no-answer";
const LIMIT: Duration = Duration::from_secs(90);
/// How long the recorder needs to start again: several looks of the agent.
const AWAY: Duration = Duration::from_secs(3);

/// A bridge with an answer for each path, and a desk to ask from.
struct Desk {
    folder: tempfile::TempDir,
    bridge: BridgeDouble,
}

impl Desk {
    async fn new(habits: impl IntoIterator<Item = (&'static str, Habit)>) -> Self {
        let habits = habits.into_iter();
        let habits: BTreeMap<_, _> = habits
            .map(|(path, habit)| (path.to_owned(), habit))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        write_private(&folder.path().join("password"));
        Self {
            folder,
            bridge: BridgeDouble::start(habits).await,
        }
    }

    fn program(&self, ask: &str, address: &str, arguments: &[&str]) -> Program {
        Program::new("tvtctl", self.folder.path())
            .env("TVT_API_URL", &self.bridge.url)
            .args(["device", ask, address, "--backend", "sdk"])
            .args(["--password-file", "password", "--format", "json"])
            .args(arguments)
    }

    async fn ask(&self, ask: &str, arguments: &[&str]) -> Value {
        let running = self.program(ask, "127.86.1.9", arguments);
        row(running.run(LIMIT).await.into())
    }

    /// The bodies that a path was asked with, without what every body holds.
    fn asked(&self, path: &str) -> Vec<Value> {
        let asked = self.bridge.asked();
        let of_path = asked.into_iter().filter(|asked| asked.path == path);
        let without = |mut body: Value| {
            let object = body.as_object_mut().unwrap();
            assert_eq!(object.remove("password"), Some(json!(PASSWORD)));
            assert_eq!(object.remove("username"), Some(json!("admin")));
            assert!(object.remove("ip").is_some() && object.remove("port").is_some());
            body
        };
        of_path.map(|asked| without(asked.body)).collect()
    }
}

fn row(said: Said) -> Value {
    let told = format!("{}{}", said.stdout, said.stderr);
    assert!(!told.contains(PASSWORD), "{told}");
    said.json()["devices"][0].clone()
}

fn write_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, PASSWORD).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn info() -> (&'static str, Habit) {
    let answer = json!({
        "success": true, "device_name": "Gate", "device_model": "TD-1", "serial_number": "N1",
        "firmware": "1.4", "hardware_version": "H2", "kernel_version": "K3", "mcu_version": "",
        "video_inputs": 8, "audio_inputs": 4, "sensor_inputs": 2, "sensor_outputs": 1,
        "device_type": 5, "error": null,
    });
    ("/device/info", Habit::json(&answer))
}

fn url(key: &str) -> (&'static str, Habit) {
    let url = format!("rtsp://admin:{PASSWORD}@127.86.1.9:554/x");
    let answer = json!({"success": true, key: url, "error": null});
    ("/rtsp-url", Habit::json(&answer))
}

fn scan() -> (&'static str, Habit) {
    let camera =
        |channel: u8| json!({"channel": channel, "address": "192.0.2.7", "status": "Online"});
    let answer = json!({"success": true, "serial_number": "N1", "cameras": [camera(0), camera(2)]});
    ("/scan", Habit::json(&answer))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_ask_that_reads_has_its_answer() {
    let time = json!({"success": true, "action": "get", "device_time": "2026-11-07T08:09:10",
        "timestamp": null, "error": null});
    let time = ("/device/time", Habit::json(&time));
    for key in ["rtsp_url", "url"] {
        let desk = Desk::new([info(), time.clone(), scan(), url(key)]).await;
        for (ask, arguments, field, wanted) in [
            ("info", &[][..], "/answer/0/model", json!("TD-1")),
            ("info", &[], "/answer/0/channels", json!(8)),
            ("info", &[], "/answer/0/hardware", json!("H2")),
            (
                "clock",
                &[],
                "/answer/0/local_time",
                json!("2026-11-07 08:09:10"),
            ),
            (
                "rtsp-url",
                &["--channel", "5"],
                "/answer/1/url",
                json!("rtsp://127.86.1.9:554/x"),
            ),
            ("rtsp-url", &[], "/answer/3/channel", json!(3)),
        ] {
            let row = desk.ask(ask, arguments).await;
            assert_eq!(row["backend"], "sdk", "{row}");
            assert_eq!(row.pointer(field), Some(&wanted), "{ask}: {row}");
        }
        assert_eq!(
            desk.asked("/device/time"),
            [json!({})],
            "the clock is only read"
        );
        let asked = desk.asked("/rtsp-url");
        let both = json!({"channel": 4, "stream_type": 1, "streamType": 1});
        assert_eq!(asked[1], both, "pytvt spells it in both ways");
        assert_eq!(asked.len(), 2 + 4, "nothing is asked twice");
    }
    let desk = Desk::new([scan()]).await;
    let row = desk.ask("channels", &["--channel", "3"]).await;
    let text = row.to_string();
    assert!(text.contains("192.0.2.7"), "{text}");
    let row = desk.ask("users", &[]).await;
    assert_eq!(row["error_code"], "device.unsupported_variant", "{row}");
    assert_eq!(desk.bridge.asked().len(), 1, "and nobody was asked for it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_break_a_rule_are_failures_with_codes() {
    let refused =
        json!({"success": false, "error": format!("Login failed (error code: 1) {PASSWORD}")});
    for (habit, code) in [
        (Habit::json(&json!({"success": true})), "bridge.bad_shape"),
        (Habit::json(&json!([])), "bridge.bad_shape"),
        (Habit::json(&refused), "device.login_rejected"),
        (
            Habit::Answer("200 OK", "application/json", vec![b'{'; 9]),
            "bridge.bad_json",
        ),
        (
            Habit::Answer("404 Not Found", "text/html", b"<p>".to_vec()),
            "bridge.http_status",
        ),
        (Habit::Flood(b' '), "bridge.too_large"),
        (Habit::Stall(Vec::new()), "bridge.timeout"),
    ] {
        let desk = Desk::new([("*", habit)]).await;
        for (ask, arguments) in [("clock", &[][..]), ("rtsp-url", &["--channel", "1"])] {
            let arguments = [&["--timeout", "2"], arguments].concat();
            let row = desk.ask(ask, &arguments).await;
            assert_eq!(row["error_code"], code, "{ask} {row}");
        }
        assert_eq!(
            desk.bridge.asked().len(),
            2,
            "{code}: nothing is asked twice"
        );
    }
    let desk = Desk::new([scan()]).await;
    let row = desk.ask("rtsp-url", &[]).await;
    assert_eq!(row["error_code"], "bridge.http_status", "{row}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reboot_is_sent_once_and_proved_even_where_the_bridge_is_lost_on_the_way() {
    for habit in [
        Habit::json(&json!({"success": true, "error": null})),
        Habit::Answer("504 Gateway Timeout", "text/plain", Vec::new()),
        Habit::Raw(Vec::new()),
    ] {
        let listener = TcpListener::bind(("127.86.1.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = format!("127.86.1.1:{port}");
        let desk = Desk::new([info(), ("/device/reboot", habit.clone())]).await;
        let dry = desk.program("reboot", &address, &["--dry-run"]);
        let dry = row(dry.run(LIMIT).await.into());
        assert_eq!(dry["answer"][0]["outcome"], "would_change", "{dry}");
        assert!(desk.asked("/device/reboot").is_empty());
        let program = desk.program("reboot", &address, &["--yes"]);
        let running = tokio::spawn(program.run(LIMIT));
        eventually("the reboot is sent", || {
            let sent = !desk.asked("/device/reboot").is_empty();
            async move { sent.then_some(()) }
        })
        .await;
        drop(listener);
        tokio::time::sleep(AWAY).await;
        let again = TcpListener::bind(("127.86.1.1", port)).unwrap();
        let found = row(running.await.unwrap().into());
        drop(again);
        assert_eq!(
            found["answer"][0]["outcome"], "changed",
            "{habit:?}: {found}"
        );
        assert_eq!(desk.asked("/device/reboot"), [json!({})], "{habit:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reboot_that_cannot_be_proved_or_is_refused_is_not_sent_again() {
    let no = json!({"success": false, "error": "RebootDVR failed (error code: 2)"});
    let desk = Desk::new([info(), ("/device/reboot", Habit::json(&no))]).await;
    let gone = desk.ask("reboot", &["--yes"]).await;
    assert!(gone["error_code"].as_str().is_some(), "{gone}");
    assert!(desk.bridge.asked().is_empty(), "{gone}");
    let listener = TcpListener::bind(("127.86.1.2", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let program = desk.program("reboot", &address, &["--yes"]);
    let refused = row(program.run(LIMIT).await.into());
    assert_eq!(refused["answer"][0]["outcome"], "failed", "{refused}");
    assert_eq!(desk.asked("/device/reboot").len(), 1);
}

/// Pictures of two channels over nothing but the bridge: nobody listens on the other ports.
async fn pictures(desk: &Desk) -> (Said, Value) {
    let closed = TcpListener::bind(("127.86.1.3", 0)).unwrap();
    let port = closed.local_addr().unwrap().port().to_string();
    drop(closed);
    let folder = desk.folder.path();
    let devices = json!({"results": [{"nvr_ip": "127.86.1.3", "nvr_port": 6036, "site": "depot"}]});
    std::fs::write(folder.join("results.json"), devices.to_string()).unwrap();
    let said: Said = Program::new("tvtctl", folder)
        .env("TVT_API_URL", &desk.bridge.url)
        .args(["local", "snapshot", "--from-json", "results.json"])
        .args(["--all-channels"])
        .args(["--web-port", &port, "--rtsp-port", &port, "-o", "out"])
        .args(["--password-file", "password"])
        .run(LIMIT)
        .await
        .into();
    assert!(!said.stdout.contains(PASSWORD) && !said.stderr.contains(PASSWORD));
    let list = std::fs::read(folder.join("out/manifest.json")).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    (said, list["pictures"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_come_by_the_bridge_where_the_web_api_is_closed() {
    let picture = Habit::Answer(
        "200 OK",
        "image/jpeg",
        tvt_fakesdk::picture("by the bridge"),
    );
    let desk = Desk::new([scan(), ("/snapshot", picture)]).await;
    let (said, rows) = pictures(&desk).await;
    let _said = said.ended(0);
    for row in rows.as_array().unwrap() {
        assert_eq!(
            (&row["state"], &row["way"]),
            (&json!("taken"), &json!("sdk")),
            "{row}"
        );
        assert_eq!(
            (&row["width"], &row["height"]),
            (&json!(16), &json!(16)),
            "{row}"
        );
    }
    // Bridges count channels from 0.
    let asked = [json!({"channel": 0}), json!({"channel": 2})];
    assert_eq!(desk.asked("/snapshot"), asked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_bridge_gives_instead_of_a_picture_is_no_picture() {
    let no = json!({"success": false, "error": "CaptureJPEGData_V2 failed (error code: 98)"});
    let mut cut = tvt_fakesdk::picture("cut");
    cut.truncate(cut.len() - 4);
    for (habit, code) in [
        (Habit::json(&no), "bridge.failed"),
        (Habit::json(&json!({"success": true})), "bridge.bad_shape"),
        (
            Habit::Answer("200 OK", "image/jpeg", cut),
            "picture.cut_off",
        ),
        (
            Habit::Answer("200 OK", "text/html", b"<html>".to_vec()),
            "bridge.bad_json",
        ),
        (Habit::Flood(b'x'), "bridge.too_large"),
    ] {
        let desk = Desk::new([scan(), ("/snapshot", habit)]).await;
        let (said, rows) = pictures(&desk).await;
        let _said = said.ended(1);
        assert_eq!(rows[0]["state"], "failed", "{rows}");
        assert_eq!(rows[0]["error_code"], code, "{rows}");
    }
    let refused = json!({"success": false, "error": "Login failed (error code: 1)"});
    let desk = Desk::new([scan(), ("/snapshot", Habit::json(&refused))]).await;
    let (_, rows) = pictures(&desk).await;
    assert_eq!(rows[1]["error_code"], "device.login_rejected", "{rows}");
    assert_eq!(
        desk.asked("/snapshot").len(),
        1,
        "a refused login is not repeated"
    );
}
