//! The bridge that an agent serves: our client and the published pytvt ask it, and whoever may not is
//! told so. The agents here have no message bus: scripts do not wait for it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tvt_sim::{FleetSpec, Options, Simulator};
use tvtfleet_tests::fleet::Said;
use tvtfleet_tests::program::{Program, Running};
use tvtfleet_tests::wait::eventually;
use xtask::pytvt::Pytvt;

const PASSWORD: &str = "Fleet-2026";
const TOKEN: &str = "a-token-of-the-test";
const LIMIT: Duration = Duration::from_secs(90);

/// What pytvt's manager asks of the first recorder.
const PYTVT: &str = "\
import json, os, sys
from dataclasses import asdict
from pytvt import DeviceManager
manager = DeviceManager(sys.argv[2], 'admin', os.environ['TVT_PASSWORD'], port=int(sys.argv[3]),
    backend='sdk_http', api_url=sys.argv[1])
picture = manager.snapshot(channel=0)
print(json.dumps({
    'info': asdict(manager.device_info()),
    'time': asdict(manager.device_time()),
    'url': asdict(manager.rtsp_url(channel=0, stream_type=0)),
    'picture': picture is not None and picture[:2] == b'\\xff\\xd8',
    'reboot': asdict(manager.reboot()),
}, default=str))
";

/// Recorders, and an agent that serves a bridge.
struct Desk {
    simulator: Simulator,
    folder: tempfile::TempDir,
    agent: Running,
    port: u16,
}

impl Desk {
    async fn new(bridge: &str, more: &str) -> Self {
        let spec = FleetSpec {
            web: true,
            ..FleetSpec::new(71, 2)
        };
        let options = Options {
            latency: Duration::ZERO,
            seed: spec.seed,
        };
        let simulator = Simulator::start(spec.generate().unwrap(), options).unwrap();
        let folder = tempfile::tempdir().unwrap();
        write_private(&folder.path().join("password"), PASSWORD);
        write_private(&folder.path().join("token"), TOKEN);
        let devices = simulator.devices().iter();
        let web: Vec<u16> = devices
            .filter_map(|device| Some(device.web_address()?.port()))
            .collect();
        let config = format!(
            "tenant = 'acme'\nsite = 'north'\ndata_dir = 'data'\n\
             [nats]\nurls = ['nats://127.0.0.1:1']\ninsecure_dev = true\n\
             [web]\nhttps_ports = []\nhttp_ports = {web:?}\n\
             [bridge]\nlisten = '127.0.0.1:0'\n{bridge}{more}"
        );
        std::fs::write(folder.path().join("agent.toml"), config).unwrap();
        let agent = Program::new("tvt-agent", folder.path())
            .args(["--log-json", "-v", "run", "--config", "agent.toml"])
            .spawn();
        let port = eventually("the bridge listens", || async {
            let lines = agent.stderr.all();
            let line = lines.iter().find(|line| line.contains("bridge listens"))?;
            let (_, rest) = line.split_once("\"server.port\":")?;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        })
        .await;
        Self {
            simulator,
            folder,
            agent,
            port,
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn first(&self) -> (String, u16) {
        let first = &self.simulator.inventory()[0];
        (first.ip.clone(), first.port)
    }

    /// Our own client.
    async fn ours(&self, arguments: &[&str]) -> Said {
        let (ip, port) = self.first();
        let said = Program::new("tvtctl", self.folder.path())
            .env("TVT_API_URL", self.url())
            .args(["device", arguments[0], &format!("{ip}:{port}")])
            .args(&arguments[1..])
            .args([
                "--backend",
                "sdk",
                "--password-file",
                "password",
                "--format",
                "json",
            ])
            .run(LIMIT)
            .await;
        said.into()
    }

    fn body(&self) -> Value {
        let (ip, port) = self.first();
        json!({"ip": ip, "port": port, "username": "admin", "password": PASSWORD})
    }

    /// A request as it stands; the status, and the body as JSON.
    async fn raw(&self, request: String) -> (u16, Value) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        // Who is refused early need not read to the end.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let _ = tokio::time::timeout(LIMIT, read).await.unwrap();
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(!text.contains(PASSWORD) && !text.contains(TOKEN), "{text}");
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    async fn post(&self, path: &str, headers: &str, body: &str) -> (u16, Value) {
        self.raw(format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{headers}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await
    }

    fn logins(&self) -> u64 {
        let totals = self.simulator.totals();
        totals.logins_tried
    }

    /// Stops the agent, and looks for secrets in what it wrote.
    async fn end(mut self) {
        self.agent.signal(rustix::process::Signal::TERM);
        assert!(self.agent.ended().await.success());
        let log = self.agent.stderr.all().join("\n");
        assert!(!log.contains(PASSWORD) && !log.contains(TOKEN), "{log}");
        assert_eq!(self.simulator.totals().violations, 0);
    }
}

fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_asks_the_recorders_through_an_agent() {
    let desk = Desk::new("", "").await;
    for (ask, pointer) in [
        ("info", "/answer/0/model"),
        ("clock", "/answer/0/local_time"),
    ] {
        let said = desk.ours(&[ask]).await;
        let row = said.json()["devices"][0].clone();
        assert_eq!(row["success"], true, "{ask}: {row}");
        assert!(row.pointer(pointer).is_some_and(Value::is_string), "{row}");
    }
    // These recorders name one stream only; what is missing keeps its code.
    let said = desk.ours(&["rtsp-url"]).await;
    let row = said.json()["devices"][0].clone();
    assert!(row["answer"][0]["url"].is_string(), "{row}");
    assert_eq!(row["error_code"], "device.bad_answer", "{row}");
    for key in ["stream_type", "streamType"] {
        let mut body = desk.body();
        body[key] = json!(0);
        let (_, told) = desk.post("/rtsp-url", "", &body.to_string()).await;
        assert!(told["url"].is_string(), "{told}");
        assert_eq!(told["url"], told["rtsp_url"]);
    }
    let body = desk.body().to_string();
    let (status, scan) = desk.post("//scan", "", &body).await;
    assert_eq!((status, &scan["success"]), (200, &json!(true)), "{scan}");
    assert!(!scan["cameras"].as_array().unwrap().is_empty());
    assert_eq!(scan["cameras"][0]["channel"], 0);
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pytvt_asks_the_recorders_through_an_agent() {
    let found = tokio::task::spawn_blocking(Pytvt::find_or_fetch).await;
    let pytvt = match found.unwrap() {
        Ok(pytvt) => pytvt,
        Err(error) => {
            eprintln!("skipped: pytvt cannot be had: {error:#}");
            return;
        }
    };
    let desk = Desk::new("", "").await;
    let inventory = serde_json::to_vec(&desk.simulator.inventory()).unwrap();
    std::fs::write(desk.folder.path().join("inventory.json"), inventory).unwrap();
    let run = async |program: &str, arguments: &[&str]| {
        let child = tokio::process::Command::new(pytvt.program(program))
            .args(arguments)
            .current_dir(desk.folder.path())
            .env("TVT_USERNAME", "admin")
            .env("TVT_PASSWORD", PASSWORD)
            .env("TVT_API_URL", desk.url())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(LIMIT, child).await.unwrap().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    run(
        "pytvt",
        &[
            "inventory.json",
            "--backend",
            "sdk",
            "--output",
            "theirs.json",
        ],
    )
    .await;
    let theirs = std::fs::read(desk.folder.path().join("theirs.json")).unwrap();
    let theirs: Vec<Value> = serde_json::from_slice(&theirs).unwrap();
    assert_eq!(theirs.len(), 2);
    for row in &theirs {
        assert_eq!(
            (&row["success"], &row["backend"]),
            (&json!(true), &json!("sdk")),
            "{row}"
        );
        assert_eq!(row["device_model"], "TD-EX3316");
        assert!(!row["cameras"].as_array().unwrap().is_empty(), "{row}");
    }
    let (ip, port) = desk.first();
    let said = run(
        "python",
        &["-c", PYTVT, &desk.url(), &ip, &port.to_string()],
    )
    .await;
    let said: Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(said["info"]["device_model"], "TD-EX3316", "{said}");
    assert_eq!(said["time"]["action"], "get", "{said}");
    assert!(
        said["time"]["device_time"].as_str().unwrap().contains('T'),
        "{said}"
    );
    assert!(
        said["url"]["rtsp_url"]
            .as_str()
            .unwrap()
            .starts_with("rtsp://"),
        "{said}"
    );
    assert_eq!(said["picture"], true, "{said}");
    // Nobody has signed for a change.
    assert_eq!(said["reboot"]["success"], false, "{said}");
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_outside_the_policy_is_not_asked() {
    let desk = Desk::new("", "[policy]\nnetworks = ['10.0.0.0/8']\n").await;
    let body = desk.body().to_string();
    for path in [
        "/scan",
        "/device/info",
        "/device/time",
        "/rtsp-url",
        "/snapshot",
    ] {
        let (status, told) = desk.post(path, "", &body).await;
        assert_eq!(status, 200, "{path}");
        assert_eq!(
            told["error_code"], "device.policy_refused",
            "{path}: {told}"
        );
    }
    assert_eq!(desk.logins(), 0);
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_password_is_remembered() {
    let desk = Desk::new("", "").await;
    let mut body = desk.body();
    body["password"] = json!("not-the-password");
    let body = body.to_string();
    let mut codes = Vec::new();
    for _ in 0..4 {
        let (_, told) = desk.post("/scan", "", &body).await;
        codes.push(told["error_code"].as_str().unwrap().to_owned());
    }
    assert_eq!(codes[0], "device.login_rejected", "{codes:?}");
    assert_ne!(codes[3], "device.login_rejected", "{codes:?}");
    assert_eq!(desk.simulator.totals().logins_failed, 2, "{codes:?}");
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_may_not_or_break_a_rule_are_told() {
    let desk = Desk::new("token_file = 'token'\n", "").await;
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let body = desk.body().to_string();
    let origin = format!("{bearer}Origin: http://evil.example\r\n");
    let long = " ".repeat(20_000);
    for (path, headers, body, status, code) in [
        ("/scan", "", body.as_str(), 401, "bridge.denied"),
        (
            "/scan",
            "Authorization: Bearer wrong\r\n",
            &body,
            401,
            "bridge.denied",
        ),
        ("/scan", &origin, &body, 403, "bridge.denied"),
        ("/nothing", &bearer, &body, 404, "bridge.bad_request"),
        ("/health", &bearer, "", 405, "bridge.bad_request"),
        ("/scan", &bearer, "{", 400, "bridge.bad_request"),
        ("/scan", &bearer, "[]", 400, "bridge.bad_request"),
        ("/scan", &bearer, &long, 413, "bridge.too_large"),
    ] {
        let (said, told) = desk.post(path, headers, body).await;
        assert_eq!(
            (said, &told["error_code"]),
            (status, &json!(code)),
            "{path}: {told}"
        );
        assert_eq!(told["success"], false);
    }
    let get = format!("GET /health HTTP/1.1\r\nHost: x\r\n{bearer}\r\n");
    assert_eq!(desk.raw(get).await, (200, json!({"status": "ok"})));
    // Nobody is held up by callers that send nothing, or less than they said.
    let mut slow = Vec::new();
    for start in ["", "POST /sc", "POST /scan HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = TcpStream::connect(("127.0.0.1", desk.port)).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let short = format!(
        "POST /scan HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{bearer}\
         Content-Length: 100\r\n\r\n{{"
    );
    let (status, told) = desk.raw(short).await;
    assert_eq!(
        (status, &told["error_code"]),
        (408, &json!("bridge.bad_request"))
    );
    let (status, told) = desk.post("/scan", &bearer, &body).await;
    assert_eq!((status, &told["success"]), (200, &json!(true)), "{told}");
    for mut stream in slow {
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest);
        let _ = tokio::time::timeout(LIMIT, read)
            .await
            .expect("it is let go");
    }
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_bridge_that_is_safe_is_served() {
    let folder = tempfile::tempdir().unwrap();
    write_private(&folder.path().join("token"), TOKEN);
    let check = async |bridge: &str| {
        let config = format!(
            "tenant = 'acme'\nsite = 'north'\ndata_dir = 'data'\n\
             [nats]\nurls = ['nats://127.0.0.1:1']\ninsecure_dev = true\n[bridge]\n{bridge}"
        );
        std::fs::write(folder.path().join("agent.toml"), config).unwrap();
        let program = Program::new("tvt-agent", folder.path());
        let output = program
            .args(["check", "--config", "agent.toml"])
            .run(LIMIT)
            .await;
        Said::from(output)
    };
    let said = check("listen = '127.0.0.1:3000'\n").await.ended(0);
    let shown = "bridge       http://127.0.0.1:3000, without a token\n";
    assert!(said.stdout.contains(shown), "{}", said.stdout);
    let made = rcgen::generate_simple_self_signed(["agent.local".to_owned()]).unwrap();
    std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
    write_private(
        &folder.path().join("key.pem"),
        &made.signing_key.serialize_pem(),
    );
    let tls = "certificate_file = 'cert.pem'\nkey_file = 'key.pem'\n";
    for bridge in [
        "listen = '0.0.0.0:3000'\n".to_owned(),
        "listen = '0.0.0.0:3000'\ntoken_file = 'token'\n".to_owned(),
        format!("listen = '0.0.0.0:3000'\n{tls}"),
        "listen = '127.0.0.1:3000'\ntoken_file = 'missing'\n".to_owned(),
        "listen = '127.0.0.1:3000'\nkey_file = 'key.pem'\n".to_owned(),
    ] {
        let said = check(&bridge).await.ended(3);
        assert!(said.stderr.contains("code: config."), "{}", said.stderr);
    }
    let said = check(&format!(
        "listen = '0.0.0.0:3000'\ntoken_file = 'token'\n{tls}"
    ))
    .await;
    let said = said.ended(0);
    assert!(
        said.stdout.contains("https://0.0.0.0:3000, with a token"),
        "{}",
        said.stdout
    );
    assert!(!said.stdout.contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_with_a_certificate_is_asked_by_tls() {
    let certificates = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (
        certificates.path().join("cert.pem"),
        certificates.path().join("key.pem"),
    );
    std::fs::write(&cert, made.cert.pem()).unwrap();
    write_private(&key, &made.signing_key.serialize_pem());
    let tls = format!("certificate_file = {cert:?}\nkey_file = {key:?}\n");
    let desk = Desk::new(&tls, "").await;
    let (ip, port) = desk.first();
    let ask = async |trusted: Option<&Path>| {
        let mut program = Program::new("tvtctl", desk.folder.path())
            .env("TVT_API_URL", format!("https://127.0.0.1:{}", desk.port))
            .args([
                "device",
                "info",
                &format!("{ip}:{port}"),
                "--backend",
                "sdk",
            ])
            .args(["--password-file", "password", "--format", "json"]);
        if let Some(path) = trusted {
            program = program.env("SSL_CERT_FILE", path);
        }
        let said = Said::from(program.run(LIMIT).await);
        said.json()["devices"][0].clone()
    };
    let row = ask(Some(&cert)).await;
    assert_eq!(row["success"], true, "{row}");
    let row = ask(None).await;
    assert_eq!(row["error_code"], "bridge.tls", "{row}");
    desk.end().await;
}
