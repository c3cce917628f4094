//! Each fault of a recorder has one code, whatever goes on around it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use tvt_agent::credentials::FixedCredential;
use tvt_agent::policy::Policy;
use tvt_agent::work::{SiteContext, WorkEvent, run_work};
use tvt_agent::{ProtocolSettings, RetrySettings};
use tvt_sim::{
    DeviceSpec, Fault, FaultRule, Fleet, ForeignServer, Kind, Options, Phase, Simulator, TunnelBody,
};
use tvtfleet_bus::clock::SystemClock;
use tvtfleet_proto::error::ErrorCode::{self, *};
use tvtfleet_proto::model::backend::{Backend, BackendChoice};
use tvtfleet_proto::model::id::{JobId, TargetNo};
use tvtfleet_proto::model::job::WorkOptions;
use tvtfleet_proto::model::secret::{Credential, Secret};
use tvtfleet_proto::model::want::{SiteWork, Target};

const PASSWORD: &str = "Fleet-2026";
/// Patience for each answer; the faults that wait take it in full.
const PATIENCE: Duration = Duration::from_millis(700);
/// Longer than any patience here.
const TOO_LONG: u64 = 10_000;

/// What a device does, with what is reported of a standard and of a head recorder: the code of the
/// failure, else the first warning, else nothing.
fn faults() -> Vec<(Fault, Option<ErrorCode>, Option<ErrorCode>)> {
    use Phase::{Greeting, Login, Tunnel};
    let both = |fault, code| (fault, Some(code), Some(code));
    let tunnel = |fault, code: Option<ErrorCode>| (fault, code, Some(AddressesUnknown));
    let well = |fault| (fault, None, Some(AddressesUnknown));
    let mut rows = vec![
        both(Fault::NoGreeting, InitTimeout),
        both(
            Fault::ForeignServer {
                server: ForeignServer::Ssh,
            },
            NotTvt,
        ),
        both(
            Fault::ForeignServer {
                server: ForeignServer::Http,
            },
            InitTimeout,
        ),
        well(Fault::ExtraHeartbeats { count: 5 }),
        well(Fault::AckFirst),
        well(Fault::Join { phase: Login }),
        well(Fault::Pushed {
            phase: Login,
            count: 3,
        }),
        both(
            Fault::Stall {
                phase: Greeting,
                ms: TOO_LONG,
            },
            InitTimeout,
        ),
        both(
            Fault::Stall {
                phase: Login,
                ms: TOO_LONG,
            },
            LoginTimeout,
        ),
        both(Fault::CloseBefore { phase: Greeting }, Closed),
        both(Fault::CloseBefore { phase: Login }, ClosedAfterLogin),
        both(Fault::Reset { phase: Greeting }, Closed),
        both(Fault::Reset { phase: Login }, ClosedAfterLogin),
        tunnel(
            Fault::Stall {
                phase: Tunnel,
                ms: TOO_LONG,
            },
            Some(TunnelTimeout),
        ),
        tunnel(Fault::TunnelMute, Some(TunnelTimeout)),
        tunnel(Fault::TunnelTrailingNul, None),
        tunnel(
            Fault::TunnelBody {
                body: TunnelBody::Chunked,
            },
            None,
        ),
    ];
    let bodies = [
        (TunnelBody::Html, Some(TunnelBadReply)),
        (TunnelBody::DeepJson, Some(TunnelBadReply)),
        // What is no UTF-8 in a name is replaced.
        (TunnelBody::InvalidUtf8, None),
    ];
    rows.extend(bodies.map(|(body, code)| tunnel(Fault::TunnelBody { body }, code)));
    rows.extend((1..24).step_by(3).map(|at| {
        both(
            Fault::CloseMidFrame {
                phase: Greeting,
                at,
            },
            Truncated,
        )
    }));
    rows
}

fn device(fault: &Fault, kind: Kind) -> DeviceSpec {
    let mut spec = DeviceSpec::new(([127, 0, 0, 1], 0).into());
    spec.kind = kind;
    if kind == Kind::Head {
        spec.channels = vec![(1, true), (2, false)];
    } else {
        spec.cameras = vec![json!({"channel": 1, "szChlname": "Yard", "szServer": "10.0.0.11"})];
    }
    spec.faults = vec![FaultRule::always(fault.clone())];
    spec
}

/// Scans one recorder for each fault; the codes by number.
async fn codes(faults: &[Fault], kind: Kind, parallel: u32, seed: u64) -> Vec<Option<ErrorCode>> {
    let fleet = Fleet {
        devices: faults.iter().map(|fault| device(fault, kind)).collect(),
    };
    let options = Options {
        latency: Duration::ZERO,
        seed,
    };
    let simulator = Simulator::start(fleet, options).unwrap();
    let mut settings = ProtocolSettings::default();
    settings.limits.init = PATIENCE;
    settings.limits.login = PATIENCE;
    settings.limits.tunnel_reply = PATIENCE;
    let credential = Credential {
        username: "admin".to_owned(),
        password: Secret::new(PASSWORD),
    };
    let once = RetrySettings {
        retries: 0,
        ..RetrySettings::default()
    };
    let site = SiteContext::new(
        Box::new(FixedCredential(credential)),
        Policy::default(),
        settings,
        Arc::new(SystemClock),
    )
    .with_retry(once);
    let targets = simulator
        .devices()
        .iter()
        .zip(0..)
        .map(|(device, number)| Target {
            number: TargetNo(number),
            endpoint: device.address().to_string().parse().unwrap(),
            known_mac: None,
            trusted: true,
            credential: None,
            settings: Default::default(),
        });
    let work = SiteWork {
        options: WorkOptions {
            backend: BackendChoice::Only(Backend::Protocol),
            parallel,
            ..WorkOptions::default()
        },
        targets: targets.collect(),
    };
    let (sender, mut events) = tokio::sync::mpsc::channel(8);
    let job = JobId::new(uuid::Uuid::new_v4());
    let run = run_work(job, work, Arc::new(site), CancellationToken::new(), sender);
    let collect = async {
        let mut found = BTreeMap::new();
        while let Some(event) = events.recv().await {
            if let WorkEvent::Finished(report) = event {
                let code = report
                    .failure
                    .as_ref()
                    .map(|failure| failure.code)
                    .or_else(|| report.warnings.first().copied());
                assert_eq!(found.insert(report.target.0, code), None, "a report each");
            }
        }
        found.into_values().collect::<Vec<_>>()
    };
    let (_, found) = tokio::join!(run, collect);
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_situation_always_has_the_same_code() {
    let rows = faults();
    let faults: Vec<Fault> = rows.iter().map(|(fault, ..)| fault.clone()).collect();
    for kind in [Kind::Standard, Kind::Head] {
        for (parallel, seed) in [(64, 1), (64, 2), (5, 3), (5, 4)] {
            let found = codes(&faults, kind, parallel, seed).await;
            assert_eq!(found.len(), rows.len());
            let wrong: Vec<String> = rows
                .iter()
                .zip(found)
                .filter_map(|((fault, standard, head), found)| {
                    let expected = if kind == Kind::Head { head } else { standard };
                    (found != *expected).then(|| format!("{fault:?}: {found:?}, not {expected:?}"))
                })
                .collect();
            assert!(
                wrong.is_empty(),
                "{kind:?}, {parallel} at a time:\n{}",
                wrong.join("\n")
            );
        }
    }
}
