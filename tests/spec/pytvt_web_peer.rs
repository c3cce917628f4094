//! The published pytvt's clients of the web interfaces against the simulator: so it speaks them as
//! clients know them, and what pytvt changes is what our asks then read.
//!
//! Skipped, with the reason, where pytvt cannot be had.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tvt_sim::{ApiDialect, ApiLogin, Kind, Mutation, PagesLogin, Password, WebSpec};
use tvtfleet_proto::model::answer::Answer;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::backend::BackendChoice;
use xtask::pytvt::Pytvt;

use crate::web_asks::Bench;

const LIMIT: Duration = Duration::from_secs(60);

/// Reads, switches RTSP off and changes the password, by the recorders' pages.
const PAGES: &str = "\
import json, os, sys
from dataclasses import asdict
from pytvt.nvr_api import NvrClient
client = NvrClient(sys.argv[1], 'admin', os.environ['OLD'], port=int(sys.argv[2]))
client.login()
found = {
    'rtsp': asdict(client.query_rtsp_server()),
    'api': asdict(client.query_api_server()),
    'users': [asdict(user) for user in client.query_users()],
    'policy': asdict(client.query_password_security()),
}
client.disable_rtsp()
client.change_own_password(os.environ['OLD'], os.environ['NEW'])
print(json.dumps(found, default=str))
";

/// Reads by the web API's prefixed dialect, the only one that pytvt knows.
const API: &str = "\
import json, os, sys
from dataclasses import asdict
from pytvt.webapi.client import WebApiClient
client = WebApiClient(sys.argv[1], 'admin', os.environ['OLD'], port=int(sys.argv[2]))
try:
    print(json.dumps({
        'info': asdict(client.get_device_info()),
        'disks': [asdict(disk) for disk in client.get_disk_info()],
        'clock': asdict(client.get_date_and_time()),
    }, default=str))
except Exception as error:
    print(json.dumps({'error': type(error).__name__}))
";

async fn pytvt() -> Option<Pytvt> {
    let found = tokio::task::spawn_blocking(Pytvt::find_or_fetch).await;
    match found.unwrap() {
        Ok(pytvt) => Some(pytvt),
        Err(error) => {
            eprintln!("skipped: pytvt cannot be had: {error:#}");
            None
        }
    }
}

async fn run(pytvt: &Pytvt, script: &str, bench: &Bench) -> Value {
    let address = bench.device.web_address().unwrap();
    let child = tokio::process::Command::new(pytvt.program("python"))
        .args(["-c", script])
        .args([address.ip().to_string(), address.port().to_string()])
        .env("OLD", "Fleet-2026")
        .env("NEW", "Gate-2027")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(LIMIT, child).await.expect("in time");
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).expect("what the script prints")
}

#[tokio::test]
async fn pytvts_client_of_the_pages_reads_and_changes_as_we_do() {
    let Some(pytvt) = pytvt().await else {
        return;
    };
    let bench = Bench::start(
        Kind::Head,
        WebSpec {
            passwords: vec![Password::new("Gate-2027")],
            // It makes no cookie of its own, which newer recorders want.
            pages: PagesLogin::Classic,
            ..WebSpec::default()
        },
    );
    let ours = bench.ask(Ask::Services, BackendChoice::Auto).await;
    let Some(Answer::Services(services)) = ours.answer else {
        panic!("{:?}", ours.failure);
    };
    let theirs = run(&pytvt, PAGES, &bench).await;
    assert_eq!(theirs["rtsp"]["enabled"], services[0].enabled.unwrap());
    assert_eq!(theirs["rtsp"]["port"], services[0].port.unwrap());
    assert_eq!(theirs["api"]["enabled"], services[1].enabled.unwrap());
    assert_eq!(theirs["users"][0]["username"], "admin", "{theirs}");
    let writes = ["editRTSPServer", "editUserPassword"];
    assert_eq!(bench.device.web_writes(), writes);
    assert_eq!(bench.device.spec().password.reveal(), "Gate-2027");
    let counters = bench.device.counters();
    assert_eq!(counters.logins_failed, 0);
}

#[tokio::test]
async fn pytvts_client_of_the_web_api_knows_one_dialect() {
    let Some(pytvt) = pytvt().await else {
        return;
    };
    let of = |api| {
        let web = WebSpec {
            api,
            api_login: ApiLogin::Basic,
            ..WebSpec::default()
        };
        Bench::start(Kind::Standard, web)
    };
    let bench = of(ApiDialect::Lapi);
    // Its reader stops at a name that is not escaped; ours mends it.
    let name = "Front".to_owned();
    let renamed = Mutation::RenameDevice { name };
    bench.device.apply(renamed).await.unwrap();
    let ours = bench.ask(Ask::Info, BackendChoice::Auto).await;
    let Some(Answer::Info(info)) = ours.answer else {
        panic!("{:?}", ours.failure);
    };
    let theirs = run(&pytvt, API, &bench).await;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    assert_eq!(
        theirs["info"]["serial_number"],
        text(&info[0].serial),
        "{theirs}"
    );
    assert_eq!(theirs["disks"].as_array().unwrap().len(), 1, "{theirs}");
    // What devices serve, it does not find; we do.
    let bench = of(ApiDialect::FlatV2);
    let theirs = run(&pytvt, API, &bench).await;
    assert_eq!(theirs["error"], "WebApiError", "{theirs}");
    let ours = bench.ask(Ask::Info, BackendChoice::Auto).await;
    assert_eq!(ours.failure, None);
}
