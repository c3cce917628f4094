//! How far the vendor's library reaches: recorders that only their serial number names, the recorders'
//! pages without an open web port, and its own search.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tvt_fakesdk::place;
use tvtfleet_tests::fleet::Said;
use tvtfleet_tests::program::Program;

const PASSWORD: &str = "Pa55-by-no-address";
const SERVER: &str = "nat20.example:7968";
const TIME: Duration = Duration::from_secs(90);

/// A computer with the library, and what its answers are made of.
struct Computer {
    folder: tempfile::TempDir,
}

impl Computer {
    fn new(faults: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (trace, answers) = (folder.path().join("trace"), folder.path().join("answers"));
        let faults = format!(
            "{faults}\nFAKE_NETSDK_TRACE={}\nFAKE_NETSDK_DOCUMENTS={}\nFAKE_NETSDK_NAT={SERVER}\n",
            trace.display(),
            answers.display()
        );
        place::install(folder.path(), &faults).unwrap();
        std::fs::create_dir(&answers).unwrap();
        let secret = folder.path().join("password");
        std::fs::write(&secret, PASSWORD).unwrap();
        private(&secret);
        Self { folder }
    }

    /// Lets recorders answer a command with a document around `content`.
    fn answers(&self, command: &str, content: &str) {
        let text = format!(
            "<?xml version=\"1.0\"?><response version=\"1.0\"><status>success</status>{content}</response>"
        );
        std::fs::write(self.folder.path().join("answers").join(command), text).unwrap();
    }

    async fn run(&self, arguments: &[&str]) -> Said {
        let said: Said = Program::new("tvtctl", self.folder.path())
            .env("TVT_SDK_PATH", self.folder.path())
            .args(arguments)
            .run(TIME)
            .await
            .into();
        assert!(!said.stdout.contains(PASSWORD) && !said.stderr.contains(PASSWORD));
        said
    }

    async fn ask(&self, ask: &str, device: &str, arguments: &[&str]) -> Value {
        let common = ["--password-file", "password", "--format", "json"];
        let all = [&["device", ask, device][..], &common, arguments].concat();
        self.run(&all).await.json()["devices"][0].clone()
    }

    fn trace(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("trace")).unwrap_or_default()
    }
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

const PLATFORM: &str = "<content type=\"list\" current=\"NVMS5000\"><item id=\"NVMS5000\">\
                        <switch>true</switch><serverAddr>192.0.2.9</serverAddr><port>2009</port>\
                        <reportId>7</reportId></item></content>";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorder_is_reached_by_its_serial_number() {
    let computer = Computer::new("");
    let nat = ["--nat-server", SERVER];
    let row = computer.ask("info", "nat:N1A2B3C4D5", &nat).await;
    assert_eq!(row["backend"], "netsdk", "{row}");
    assert_eq!(row["answer"][0]["model"], "FAKE-NVR8", "{row}");
    let trace = computer.trace();
    assert!(trace.contains(&format!("kind 2 by {SERVER}")), "{trace}");
    // Without its end the library crashes when the process ends.
    assert!(
        trace.contains("Logout") && trace.contains("Cleanup"),
        "{trace}"
    );
    assert!(!trace.contains("VIOLATION"), "{trace}");

    let old = ["--nat-server", SERVER, "--nat-type", "nat"];
    let row = computer.ask("channels", "nat:N1A2B3C4D5", &old).await;
    assert_eq!(row["answer"].as_array().map(Vec::len), Some(8), "{row}");
    assert!(computer.trace().contains(&format!("kind 1 by {SERVER}")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inventory_names_recorders_by_their_serial_number() {
    let computer = Computer::new("");
    let devices = json!([
        {"site": "depot", "hostname": "by-serial", "identifier": "N1A2B3C4D5", "connection_method": "nat"},
        {"site": "depot", "hostname": "only-a-number", "identifier": "N9"},
    ]);
    let file = computer.folder.path().join("devices.json");
    std::fs::write(file, devices.to_string()).unwrap();
    let said = computer
        .run(&[
            "local",
            "scan",
            "devices.json",
            "--nat-server",
            SERVER,
            "--password-file",
            "password",
            "-o",
            "result.json",
        ])
        .await;
    let text = std::fs::read_to_string(computer.folder.path().join("result.json"));
    let result: Value = serde_json::from_str(&text.unwrap()).unwrap();
    let found = &result[0];
    assert_eq!(found["nvr_ip"], "nat:N1A2B3C4D5", "{said:?} {result}");
    assert_eq!(
        (&found["success"], &found["backend"]),
        (&true.into(), &"netsdk".into())
    );
    assert!(said.stderr.contains("connection_method"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_by_serial_number_fails_with_a_word_of_why() {
    let computer = Computer::new("FAKE_NETSDK_CREDS=admin:another");
    let row = computer.ask("info", "nat:N1A2B3C4D5", &[]).await;
    assert_eq!(row["error_code"], "device.policy_refused", "{row}");
    assert!(
        row["error"].as_str().unwrap().contains("--nat-server"),
        "{row}"
    );
    assert_eq!(computer.trace(), "", "nothing was even loaded");

    let elsewhere = ["--nat-server", "other.example:7968", "--retries", "0"];
    let row = computer.ask("info", "nat:N1A2B3C4D5", &elsewhere).await;
    assert_eq!(row["error_code"], "device.unreachable", "{row}");
    assert!(
        row["error"].as_str().unwrap().contains("serial number")
            || row["error"].as_str().unwrap().contains("NatClientSDK"),
        "{row}"
    );
    let row = computer
        .ask("info", "nat:N1A2B3C4D5", &["--nat-server", SERVER])
        .await;
    assert_eq!(row["error_code"], "device.login_rejected", "{row}");
    assert_eq!(
        computer.trace().matches("mismatch").count(),
        1,
        "once, and no more"
    );

    for backend in ["protocol", "webapi", "cgi", "sdk"] {
        let only = ["--backend", backend, "--nat-server", SERVER];
        let row = computer.ask("info", "nat:N1A2B3C4D5", &only).await;
        assert_eq!(row["error_code"], "device.unsupported_variant", "{row}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_are_asked_through_the_librarys_session() {
    for (faults, function) in [
        ("", "ApiInterface"),
        ("FAKE_NETSDK_FAIL=ApiInterface=96", "TransparentConfig"),
    ] {
        let computer = Computer::new(faults);
        computer.answers("queryPlatformCfg", PLATFORM);
        let listener = TcpListener::bind(("127.86.0.2", 0)).unwrap();
        let device = listener.local_addr().unwrap().to_string();
        let library = ["--backend", "netsdk"];
        let row = computer.ask("platform", &device, &library).await;
        assert_eq!(row["backend"], "netsdk", "{row}");
        assert_eq!(row["answer"][0]["server"], "192.0.2.9", "{row}");
        let trace = computer.trace();
        let asked = format!("{function}#1 {device} queryPlatformCfg");
        assert!(
            trace.contains(&asked) && !trace.contains("VIOLATION"),
            "{trace}"
        );
        assert_eq!(trace.matches("Login#").count(), 2, "one login: {trace}");

        // What the recorder does not know is its own word, not a lost session.
        let row = computer.ask("users", &device, &library).await;
        assert_eq!(row["success"], false, "{row}");
        assert!(
            row["error_code"].as_str().unwrap().starts_with("device."),
            "{row}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_document_gets_more_room_and_an_endless_one_ends() {
    let computer = Computer::new("");
    let listener = TcpListener::bind(("127.86.0.2", 0)).unwrap();
    let device = listener.local_addr().unwrap().to_string();
    let padded = |bytes: usize| format!("{PLATFORM}<!--{}-->", "x".repeat(bytes));
    computer.answers("queryPlatformCfg", &padded(200 * 1024));
    let row = computer
        .ask("platform", &device, &["--backend", "netsdk"])
        .await;
    assert_eq!(row["answer"][0]["server"], "192.0.2.9", "{row}");
    assert!(computer.trace().contains("ApiInterface#2"));
    computer.answers("queryPlatformCfg", &padded(4 << 20));
    let row = computer
        .ask(
            "platform",
            &device,
            &["--backend", "netsdk", "--retries", "0"],
        )
        .await;
    assert_eq!(row["error_code"], "sdk.layout_mismatch", "{row}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_librarys_own_search_is_a_way_to_discover() {
    for version in ["028", "036", "132"] {
        let computer = Computer::new(&format!(
            "FAKE_NETSDK_VERSION={version}\nFAKE_NETSDK_FOUND=3"
        ));
        let search = [
            "local",
            "discover",
            "--methods",
            "sdk",
            "--timeout",
            "1",
            "--json",
        ];
        let found = computer.run(&search).await.json();
        let devices = found.as_array().unwrap();
        let addresses: Vec<_> = devices
            .iter()
            .map(|one| one["ip"].as_str().unwrap())
            .collect();
        assert_eq!(
            addresses,
            ["192.0.2.201", "192.0.2.202", "192.0.2.203"],
            "{found}"
        );
        assert_eq!(devices[0]["mac"], "58:5B:69:FA:CE:00", "{found}");
        let trace = computer.trace();
        assert!(
            trace.contains("DiscoverDevice#1") && !trace.contains("VIOLATION"),
            "{trace}"
        );
        assert!(!trace.contains("Login"), "{trace}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_by_a_library_that_dies_is_a_note_and_nothing_else() {
    for faults in [
        "FAKE_NETSDK_CRASH=DiscoverDevice=segv",
        "FAKE_NETSDK_OVERRUN=DiscoverDevice=64",
        "FAKE_NETSDK_COUNT=9999",
    ] {
        let computer = Computer::new(faults);
        let search = [
            "local",
            "discover",
            "--methods",
            "sdk",
            "--timeout",
            "1",
            "--json",
        ];
        let said = computer.run(&search).await;
        let found = said.json();
        assert_eq!(found.as_array().map(Vec::len), Some(0), "{found}");
        let told = format!("{}{}", said.stderr, said.stdout);
        assert!(
            told.contains("no search by the vendor's library"),
            "{faults}: {told}"
        );
    }
}
