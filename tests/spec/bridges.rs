//! Bridges as backends: the HTTP service and the script, and everything that they may answer instead.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tvt_sim::{Fleet, Options, Simulator};
use tvtfleet_tests::bridge::{BridgeDouble, Habit};
use tvtfleet_tests::fleet::Said;
use tvtfleet_tests::program::Program;

const PASSWORD: &str = "Fleet-2026";
const LIMIT: Duration = Duration::from_secs(60);

fn example(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/examples/sdk-bridge");
    std::fs::read_to_string(folder.join(file)).unwrap()
}

/// What the bridge answered pytvt, by device.
fn recorded() -> BTreeMap<String, Habit> {
    let replies: Value = serde_json::from_str(&example("bridge-replies.json")).unwrap();
    let habit = |reply: &Value| {
        let status = match reply["status"].as_u64() {
            Some(500) => "500 Internal Server Error",
            _ => "200 OK",
        };
        Habit::Answer(
            status,
            "application/json",
            reply["body"].to_string().into_bytes(),
        )
    };
    let replies = replies.as_object().unwrap().iter();
    replies
        .map(|(ip, reply)| (ip.clone(), habit(reply)))
        .collect()
}

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new(inventory: &str) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("inventory.json", inventory);
        write("password", PASSWORD);
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(folder.path().join("password"), private).unwrap();
        Self { folder }
    }

    /// One device that nobody connects to.
    fn with_one() -> Self {
        Self::new(r#"[{"site":"Lab","ip":"127.0.9.9","manufacturer":"TVT"}]"#)
    }

    async fn scan(&self, arguments: &[&str]) -> (Said, Vec<Value>) {
        let path = std::env::var("PATH").unwrap();
        let said: Said = Program::new("tvtctl", self.folder.path())
            .env("PATH", path)
            .args([
                "local",
                "scan",
                "inventory.json",
                "--password-file",
                "password",
            ])
            .args(["-o", "results.json", "--retries", "0"])
            .args(arguments)
            .run(LIMIT)
            .await
            .into();
        let text = std::fs::read_to_string(self.folder.path().join("results.json"));
        let text = text.unwrap_or_else(|error| panic!("{error}: {said:?}"));
        (said, serde_json::from_str(&text).unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// The keys of pytvt's result, without our additions; channels are counted from 1 here.
fn as_pytvt(rows: &[Value], like: &Value) -> Value {
    let mut rows = rows.to_vec();
    for (row, like) in rows.iter_mut().zip(like.as_array().unwrap()) {
        let row = row.as_object_mut().unwrap();
        row.retain(|key, _| like.get(key).is_some());
        for camera in row["cameras"].as_array_mut().unwrap() {
            camera
                .as_object_mut()
                .unwrap()
                .shift_remove("status_source");
            let channel = camera["channel"].as_i64().unwrap();
            camera["channel"] = json!(channel - 1);
        }
    }
    Value::Array(rows)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_is_asked_and_understood_as_pytvt_did() {
    let bridge = BridgeDouble::start(recorded()).await;
    let desk = Desk::new(&example("inventory-sdk.json"));
    let config = desk.file("config.json", r#"{"max_channels": 32}"#);
    let url = format!("{}/", bridge.url);
    let config = config.to_str().unwrap();
    let arguments = [
        "-b",
        "sdk",
        "--api-url",
        &url,
        "-c",
        "1",
        "--config",
        config,
    ];
    let (said, rows) = desk.scan(&arguments).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    let mut expected: Value = serde_json::from_str(&example("sdk.json")).unwrap();
    // The bridge's own words are told as well.
    expected[2]["error"] = json!("API connection error: Internal Server Error (bridge exploded)");
    assert_eq!(as_pytvt(&rows, &expected), expected);
    // The library's number in the text is understood.
    assert_eq!(rows[1]["error_code"], "device.unsupported_variant");
    assert_eq!(rows[2]["error_code"], "bridge.http_status");
    let requests: Value = serde_json::from_str(&example("bridge-requests.json")).unwrap();
    let asked = bridge.asked();
    assert_eq!(asked.len(), 3, "none is asked twice");
    for (asked, request) in asked.iter().zip(requests.as_array().unwrap()) {
        assert_eq!(asked.method, request["method"]);
        assert_eq!(asked.path, request["path"]);
        assert_eq!(asked.heads["content-type"], request["content_type"]);
        assert_eq!(asked.body, request["body"]);
        assert!(!asked.heads.contains_key("authorization"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_that_is_none_is_a_report_with_a_code() {
    let raw = |text: &str| Habit::Raw(text.as_bytes().to_vec());
    let json = |text: &str| Habit::Answer("200 OK", "application/json", text.as_bytes().to_vec());
    let many: Vec<Value> = (0..10_000).map(|n| json!({"channel": n})).collect();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let cases = [
        (json("not JSON"), "bridge.bad_json"),
        (json("[]"), "bridge.bad_shape"),
        (json("null"), "bridge.bad_shape"),
        (json(r#"{"success":"yes"}"#), "bridge.bad_shape"),
        (
            json(r#"{"success":true,"cameras":[1]}"#),
            "bridge.bad_shape",
        ),
        (
            Habit::json(&json!({"success": true, "cameras": many})),
            "bridge.too_large",
        ),
        (
            Habit::Answer("200 OK", "text/html", b"<html>".to_vec()),
            "bridge.bad_json",
        ),
        (
            Habit::Answer("200 OK", "application/json", vec![0xFF, 0xFE]),
            "bridge.bad_json",
        ),
        (
            Habit::Answer("401 Unauthorized", "text/plain", Vec::new()),
            "bridge.http_status",
        ),
        (
            Habit::Answer("503 Service Unavailable", "text/html", b"<p>".to_vec()),
            "bridge.http_status",
        ),
        (
            raw("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n"),
            "bridge.http_status",
        ),
        (
            raw(&format!("{head}content-length: 900\r\n\r\n{{")),
            "bridge.unreachable",
        ),
        (raw("garbage\r\n\r\n"), "bridge.unreachable"),
        (raw(""), "bridge.unreachable"),
        (Habit::Stall(Vec::new()), "bridge.timeout"),
        (
            Habit::Stall(format!("{head}content-length: 9\r\n\r\n{{").into_bytes()),
            "bridge.timeout",
        ),
        (Habit::Flood(b' '), "bridge.too_large"),
        (
            json(r#"{"success":false,"error":"Login failed (error code: 6)"}"#),
            "device.locked",
        ),
    ];
    for (habit, code) in cases {
        let shown = format!("{habit:?}").chars().take(80).collect::<String>();
        let bridge = BridgeDouble::with(habit).await;
        let desk = Desk::with_one();
        let arguments = ["-b", "sdk", "--api-url", &bridge.url, "--timeout", "2"];
        let (said, rows) = desk.scan(&arguments).await;
        assert_eq!(said.code, Some(1), "{shown} {said:?}");
        assert_eq!(rows[0]["error_code"], code, "{shown} {}", rows[0]);
        assert_eq!(bridge.asked().len(), 1, "{shown}: nothing is asked twice");
        let told = format!("{said:?}{rows:?}");
        assert!(!told.contains(PASSWORD), "{told}");
    }
    let desk = Desk::with_one();
    let (_, rows) = desk
        .scan(&["-b", "sdk", "--api-url", "http://127.0.0.1:1"])
        .await;
    assert_eq!(rows[0]["error"], "API connection error: Connection refused");
    assert_eq!(rows[0]["error_code"], "bridge.unreachable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_asks_the_bridge_only_where_that_can_help() {
    let moved = |text: String| text.replace("127.0.0.", "127.86.0.");
    let fleet = Fleet::from_json(&moved(example("fleet.json"))).unwrap();
    let options = Options {
        latency: Duration::ZERO,
        seed: 1,
    };
    let _simulator = Simulator::start(fleet, options).unwrap();
    let habits = recorded();
    let habits = habits
        .into_iter()
        .map(|(ip, habit)| (moved(ip), habit))
        .collect();
    let bridge = BridgeDouble::start(habits).await;
    let desk = Desk::new(&moved(example("inventory-both.json")));
    let (said, rows) = desk
        .scan(&["-b", "both", "--api-url", &bridge.url, "--timeout", "5"])
        .await;
    assert_eq!(said.code, Some(1), "{said:?}");
    let row = |end: &str| {
        let address = format!("127.86.0.{end}");
        rows.iter()
            .find(|row| row["nvr_ip"] == address.as_str())
            .unwrap()
    };
    assert_eq!(row("11")["backend"], "protocol");
    assert_eq!(row("11")["attempts"].as_array().unwrap().len(), 1);
    // pytvt passes a refused password on to the bridge, which locks accounts.
    assert_eq!(row("14")["error_code"], "device.login_rejected");
    assert_eq!(
        row("15")["error"],
        "protocol: Connection refused | sdk: timeout"
    );
    let asked: Vec<_> = bridge
        .asked()
        .iter()
        .map(|asked| asked.body["ip"].clone())
        .collect();
    assert!(asked.contains(&json!("127.86.0.15")), "{asked:?}");
    assert!(!asked.contains(&json!("127.86.0.14")), "{asked:?}");
    assert!(!asked.contains(&json!("127.86.0.11")), "{asked:?}");
}

fn has_node() -> bool {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&search).any(|folder| folder.join("node").is_file());
    if !found {
        eprintln!("skipped: there is no node in PATH");
    }
    found
}

/// A script as users have it: credentials in its arguments, the answer between markers. It tells what
/// other processes could see of it.
const SCRIPT: &str = r"
import { readFileSync, writeFileSync } from 'node:fs';
const [, , ip, port, user, password] = process.argv;
writeFileSync(process.env.HOME + '/seen.json', JSON.stringify({
  ip, port, user, password,
  cmdline: readFileSync('/proc/self/cmdline', 'latin1'),
  environ: readFileSync('/proc/self/environ', 'latin1'),
}));
console.log('noise of the library ___JSON_START___');
console.error('secret in an error: ' + password);
PRINT
";

const ANSWER: &str = r"
console.log('___JSON_START___');
console.log(JSON.stringify({ success: true, device_name: 'by script', total_channels: 2,
  cameras: [{ channel: 0, name: 'one', address: '192.0.2.1', port: 9008, status: 'Online',
              protocol: 'TVT', model: 'M', device_id: 0 }], error: null }));
console.log('___JSON_END___');
";

fn script(print: &str) -> String {
    SCRIPT.replace("PRINT", print)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_gets_its_credential_unseen() {
    if !has_node() {
        return;
    }
    for (argv, exposed) in [(None, false), (Some("--scan-script-argv"), true)] {
        let desk = Desk::with_one();
        desk.file("scan_nvr.mjs", &script(ANSWER));
        let mut arguments = vec!["-b", "sdk-local", "--scan-script", "scan_nvr.mjs"];
        arguments.extend(argv);
        let (said, rows) = desk.scan(&arguments).await;
        assert_eq!(said.code, Some(0), "{said:?} {rows:?}");
        assert_eq!(rows[0]["backend"], "sdk-local");
        assert_eq!(rows[0]["device_name"], "by script");
        assert_eq!(rows[0]["cameras"][0]["channel"], 1);
        let seen = std::fs::read_to_string(desk.folder.path().join("seen.json")).unwrap();
        let seen: Value = serde_json::from_str(&seen).unwrap();
        assert_eq!(seen["ip"], "127.0.9.9");
        assert_eq!(seen["port"], "6036");
        assert_eq!(seen["user"], "admin");
        assert_eq!(
            seen["password"], PASSWORD,
            "the script sees what it expects"
        );
        let cmdline = seen["cmdline"].as_str().unwrap();
        assert_eq!(cmdline.contains(PASSWORD), exposed, "{cmdline}");
        assert!(!seen["environ"].as_str().unwrap().contains(PASSWORD));
        assert_eq!(
            said.stderr.contains("every user of this computer"),
            exposed,
            "{said:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_misbehave_are_reports_with_codes() {
    if !has_node() {
        return;
    }
    let between = |text: &str| {
        format!(
            "console.log('___JSON_START___');console.log({text:?});console.log('___JSON_END___');"
        )
    };
    for (print, code) in [
        (String::new(), "sdk.protocol"),
        ("process.exit(3);".to_owned(), "sdk.protocol"),
        ("console.error(JSON.stringify({error: 'koffi is missing'})); process.exit(1);".to_owned(), "sdk.protocol"),
        (between("not JSON"), "bridge.bad_json"),
        (between("[]"), "bridge.bad_shape"),
        (between(r#"{"success":false,"error":"Login failed (error code: 1)"}"#), "device.login_rejected"),
        ("process.kill(process.pid, 'SIGSEGV'); setTimeout(() => {}, 1e6);".to_owned(), "sdk.crashed"),
        ("process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);".to_owned(), "sdk.timeout"),
        ("for (;;) { process.stdout.write('x'.repeat(65536)); await new Promise(setImmediate); }".to_owned(), "bridge.too_large"),
    ] {
        let desk = Desk::with_one();
        desk.file("scan_nvr.mjs", &script(&print));
        let (said, rows) = desk
            .scan(&["-b", "sdk-local", "--scan-script", "scan_nvr.mjs", "--timeout", "4"])
            .await;
        assert_eq!(said.code, Some(1), "{print} {said:?}");
        assert_eq!(rows[0]["error_code"], code, "{print} {}", rows[0]);
        let told = format!("{said:?}{rows:?}");
        assert!(!told.contains(PASSWORD), "{told}");
    }
    let desk = Desk::with_one();
    let (_, rows) = desk
        .scan(&["-b", "sdk-local", "--scan-script", "absent.mjs"])
        .await;
    assert_eq!(rows[0]["error_code"], "sdk.unavailable", "{}", rows[0]);
    assert!(
        rows[0]["error"]
            .as_str()
            .unwrap()
            .contains("TVT_SCAN_SCRIPT"),
        "{}",
        rows[0]
    );
}
