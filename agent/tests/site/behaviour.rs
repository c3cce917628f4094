//! What an agent does, seen from both sides.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;
use tvt_agent::spool::SpoolSettings;
use tvt_agent::{AgentConfig, AgentError};
use tvtfleet_bus::Shutdown;
use tvtfleet_bus::clock::{Clock, SystemClock};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::id::{JobId, SiteId, TargetNo};
use tvtfleet_proto::model::job::WorkOptions;
use tvtfleet_proto::model::want::{JobWant, SiteEvent, SiteOutcome, SiteWork, Target, WantState};
use tvtfleet_tests::{NatsServer, eventually};

use crate::centre::Centre;
use crate::peer::{Habit, Peer, mac};

const PASSWORD: &str = "pw-of-the-site-test";

struct Agent {
    shutdown: Shutdown,
    task: JoinHandle<Result<(), AgentError>>,
}

impl Agent {
    fn start(folder: &Path, url: &str) -> Self {
        let shutdown = Shutdown::new();
        let config = config(folder, url);
        let task = tokio::spawn(tvt_agent::run(config, shutdown.clone()));
        Self { shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.request();
        self.task.await.unwrap().unwrap();
    }
}

fn site() -> SiteId {
    "acme/depot-1".parse().unwrap()
}

fn config(folder: &Path, url: &str) -> AgentConfig {
    let credentials = folder.join("credentials.toml");
    let text = format!(
        "default = \"nvr\"\n[credentials.nvr]\nusername = \"admin\"\npassword = \"{PASSWORD}\"\n"
    );
    std::fs::write(&credentials, text).unwrap();
    std::fs::set_permissions(&credentials, std::fs::Permissions::from_mode(0o600)).unwrap();
    AgentConfig {
        credentials_file: Some(credentials),
        heartbeat: Duration::from_millis(100),
        spool: SpoolSettings {
            keep: Duration::ZERO,
            ..SpoolSettings::default()
        },
        ..AgentConfig::new(site(), folder.join("data"), url)
    }
}

async fn recorders(count: u8, delay: Duration) -> Vec<Peer> {
    let mut peers = Vec::new();
    for number in 0..count {
        peers.push(Peer::start(Habit::Recorder { channels: 8 }, mac(number), delay).await);
    }
    peers
}

fn want(peers: &[Peer], parallel: u32) -> JobWant {
    let targets: Vec<_> = (0..)
        .zip(peers)
        .map(|(number, peer)| Target {
            number: TargetNo(number),
            endpoint: peer.address.to_string().parse().unwrap(),
            known_mac: None,
            trusted: true,
            credential: None,
            settings: Default::default(),
        })
        .collect();
    JobWant {
        job: JobId::new(uuid::Uuid::new_v4()),
        state: WantState::Run,
        not_after: SystemClock.now().after(Duration::from_secs(60)),
        traceparent: String::new(),
        target_count: u32::try_from(targets.len()).unwrap(),
        work: Some(SiteWork {
            options: WorkOptions {
                parallel,
                ..WorkOptions::default()
            },
            targets,
        }),
        order: None,
    }
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join("data/spool")).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some())
        .collect()
}

/// Whether nobody holds the lock of the data folder.
fn is_free(folder: &Path) -> bool {
    let file = std::fs::File::open(folder.join("data/lock")).unwrap();
    file.try_lock().is_ok()
}

fn expect_done(event: &SiteEvent, expected: SiteOutcome, count: u32) {
    let SiteEvent::Done {
        outcome,
        records,
        range,
        ..
    } = event
    else {
        panic!("{event:?}")
    };
    assert_eq!((*outcome, *records), (expected, count));
    assert_eq!(range.is_some(), count > 0);
}

/// The devices in the reports, each once.
fn reported(centre: &Centre) -> BTreeSet<u32> {
    centre.with(|known| known.reports.iter().map(|report| report.target.0).collect())
}

#[tokio::test]
async fn a_job_is_done_reported_and_let_go() {
    let (nats, folder) = (NatsServer::start().await, tempfile::tempdir().unwrap());
    let centre = Centre::start(&nats.url(), &site()).await;
    let peers = recorders(6, Duration::ZERO).await;
    let agent = Agent::start(folder.path(), &nats.url());
    let job = want(&peers, 3);
    centre.want(vec![job.clone()]).await;
    let done = centre.until_done(job.job).await;
    expect_done(&done, SiteOutcome::Complete, 6);
    assert_eq!(reported(&centre), (0..6).collect());
    centre.with(|known| {
        assert!(
            known
                .reports
                .iter()
                .all(|report| report.is_success() && report.channels.len() == 8)
        );
        assert!(matches!(
            known.events.first(),
            Some(SiteEvent::Accepted { .. })
        ));
    });
    // What is committed leaves the disk; a job that is not wanted any more leaves the journal.
    centre
        .until("an empty spool", |known| {
            (known.spool_bytes == 0 && known.next.0 > 3).then_some(())
        })
        .await;
    centre.want(Vec::new()).await;
    let revision = tvtfleet_proto::model::id::WantRevision(2);
    centre
        .until("the empty document", |known| {
            (known.taken == revision).then_some(())
        })
        .await;
    agent.stop().await;
    assert_eq!(segments(folder.path()), Vec::<PathBuf>::new());
    assert_eq!(
        std::fs::read_dir(folder.path().join("data/jobs"))
            .unwrap()
            .count(),
        0
    );
    let secret = PASSWORD.as_bytes();
    centre.with(|known| {
        assert!(
            known
                .raw
                .iter()
                .all(|raw| !raw.windows(secret.len()).any(|part| part == secret))
        );
    });
}

#[tokio::test]
async fn a_restart_goes_on_with_what_is_left() {
    let (nats, folder) = (NatsServer::start().await, tempfile::tempdir().unwrap());
    let centre = Centre::start(&nats.url(), &site()).await;
    let mut peers = recorders(3, Duration::ZERO).await;
    peers.push(Peer::start(Habit::NeverAnswers, mac(77), Duration::ZERO).await);
    let agent = Agent::start(folder.path(), &nats.url());
    let job = want(&peers, 1);
    centre.want(vec![job.clone()]).await;
    centre
        .until("three reports", |known| {
            (known.reports.len() == 3).then_some(())
        })
        .await;
    agent.shutdown.request();
    agent.task.abort();
    let _cut_off = agent.task.await;
    assert!(
        centre.with(|known| known.events.len() == 1),
        "no end has been announced"
    );
    // The folder's lock goes with the last task of the old life.
    eventually("the folder is free", || async {
        is_free(folder.path()).then_some(())
    })
    .await;
    let agent = Agent::start(folder.path(), &nats.url());
    let done = centre.until_done(job.job).await;
    expect_done(&done, SiteOutcome::Complete, 4);
    assert_eq!(reported(&centre), (0..4).collect());
    assert!(
        peers[..3].iter().all(|peer| peer.connections() == 1),
        "asked again"
    );
    agent.stop().await;
}

#[tokio::test]
async fn results_survive_a_server_that_dies() {
    let (mut nats, folder) = (NatsServer::start().await, tempfile::tempdir().unwrap());
    let centre = Centre::start(&nats.url(), &site()).await;
    let peers = recorders(20, Duration::from_millis(30)).await;
    let agent = Agent::start(folder.path(), &nats.url());
    let job = want(&peers, 2);
    centre.want(vec![job.clone()]).await;
    centre
        .until("the first report", |known| {
            (!known.reports.is_empty()).then_some(())
        })
        .await;
    nats.kill9();
    // The work goes on without it.
    eventually("every recorder has been asked", || async {
        peers.iter().all(|peer| peer.logouts() > 0).then_some(())
    })
    .await;
    nats.resume().await;
    let done = centre.until_done(job.job).await;
    expect_done(&done, SiteOutcome::Complete, 20);
    assert_eq!(reported(&centre), (0..20).collect());
    assert!(peers.iter().all(|peer| peer.connections() == 1));
    agent.stop().await;
}

#[tokio::test]
async fn work_goes_on_without_a_server_and_is_told_later() {
    let (mut nats, folder) = (NatsServer::start().await, tempfile::tempdir().unwrap());
    let centre = Centre::start(&nats.url(), &site()).await;
    let peers = recorders(4, Duration::ZERO).await;
    let slow = Peer::start(
        Habit::Recorder { channels: 8 },
        mac(99),
        Duration::from_millis(400),
    )
    .await;
    let agent = Agent::start(folder.path(), &nats.url());
    // The slow one is first, so that the server is gone before the others' turn.
    let mut all = vec![slow];
    all.extend(peers);
    let job = want(&all, 1);
    centre.want(vec![job.clone()]).await;
    eventually("the slow one is asked", || async {
        (all[0].connections() > 0).then_some(())
    })
    .await;
    nats.kill9();
    eventually("every recorder has been asked", || async {
        all.iter().all(|peer| peer.logouts() > 0).then_some(())
    })
    .await;
    nats.resume().await;
    expect_done(&centre.until_done(job.job).await, SiteOutcome::Complete, 5);
    agent.stop().await;
}

#[tokio::test]
async fn a_cancelled_job_ends_and_says_so() {
    let (nats, folder) = (NatsServer::start().await, tempfile::tempdir().unwrap());
    let centre = Centre::start(&nats.url(), &site()).await;
    let mut peers = recorders(1, Duration::ZERO).await;
    peers.push(Peer::start(Habit::NeverAnswers, mac(77), Duration::ZERO).await);
    peers.extend(recorders(1, Duration::ZERO).await);
    let agent = Agent::start(folder.path(), &nats.url());
    let job = want(&peers, 1);
    centre.want(vec![job.clone()]).await;
    eventually("the mute one is asked", || async {
        (peers[1].logins() > 0).then_some(())
    })
    .await;
    let never = want(&peers, 1);
    let cancelled = |job: &JobWant| JobWant {
        state: WantState::Cancel,
        ..job.clone()
    };
    centre.want(vec![cancelled(&job), cancelled(&never)]).await;
    expect_done(&centre.until_done(job.job).await, SiteOutcome::Cancelled, 2);
    expect_done(
        &centre.until_done(never.job).await,
        SiteOutcome::Cancelled,
        0,
    );
    assert_eq!(peers[2].connections(), 0);
    agent.stop().await;
}

#[tokio::test]
async fn large_work_is_fetched_and_late_work_declined() {
    let (nats, folder) = (NatsServer::start().await, tempfile::tempdir().unwrap());
    let centre = Centre::start(&nats.url(), &site()).await;
    let peers = recorders(2, Duration::ZERO).await;
    let full = want(&peers, 2);
    centre.with(|known| known.works.insert(full.job, full.work.clone().unwrap()));
    let by_reference = JobWant {
        work: None,
        ..full.clone()
    };
    let gone = JobWant {
        work: None,
        ..want(&peers, 2)
    };
    let late = JobWant {
        not_after: SystemClock.now(),
        ..want(&peers, 2)
    };
    // Written before the agent is there: it reads what it has missed.
    centre
        .want(vec![by_reference, gone.clone(), late.clone()])
        .await;
    let agent = Agent::start(folder.path(), &nats.url());
    expect_done(&centre.until_done(full.job).await, SiteOutcome::Complete, 2);
    expect_done(
        &centre.until_done(gone.job).await,
        SiteOutcome::Cancelled,
        0,
    );
    expect_done(&centre.until_done(late.job).await, SiteOutcome::Expired, 0);
    agent.stop().await;
}

#[tokio::test]
async fn an_unwelcome_agent_keeps_its_results_until_it_is_welcome() {
    let (nats, folder) = (NatsServer::start().await, tempfile::tempdir().unwrap());
    let centre = Centre::start(&nats.url(), &site()).await;
    centre.with(|known| known.refused = Some(ErrorCode::SiteUnknown));
    let peers = recorders(2, Duration::ZERO).await;
    let agent = Agent::start(folder.path(), &nats.url());
    centre
        .until("two greetings", |known| (known.hellos >= 2).then_some(()))
        .await;
    let job = want(&peers, 2);
    centre.want(vec![job.clone()]).await;
    eventually("every recorder has been asked", || async {
        peers.iter().all(|peer| peer.logouts() > 0).then_some(())
    })
    .await;
    let hellos = centre.with(|known| known.hellos);
    centre
        .until("another greeting", |known| {
            (known.hellos > hellos).then_some(())
        })
        .await;
    assert!(centre.with(|known| known.reports.is_empty() && known.heartbeats == 0));
    centre.with(|known| known.refused = None);
    expect_done(&centre.until_done(job.job).await, SiteOutcome::Complete, 2);
    agent.stop().await;
}

#[tokio::test]
async fn what_the_server_lost_is_sent_again() {
    let (nats, folder) = (NatsServer::start().await, tempfile::tempdir().unwrap());
    let peers = recorders(3, Duration::ZERO).await;
    let job = want(&peers, 3);
    {
        // The other end dies without having stored anything for good.
        let centre = Centre::start(&nats.url(), &site()).await;
        centre.with(|known| known.keeps_quiet = true);
        let agent = Agent::start(folder.path(), &nats.url());
        centre.want(vec![job.clone()]).await;
        centre.until_done(job.job).await;
        agent.stop().await;
    }
    // And the server with all its streams.
    drop(nats);
    let nats = NatsServer::start().await;
    let centre = Centre::start(&nats.url(), &site()).await;
    centre.with(|known| known.asks_again = true);
    let agent = Agent::start(folder.path(), &nats.url());
    expect_done(&centre.until_done(job.job).await, SiteOutcome::Complete, 3);
    assert_eq!(reported(&centre), (0..3).collect());
    assert!(
        peers.iter().all(|peer| peer.connections() == 1),
        "from the spool, not asked again"
    );
    agent.stop().await;
}
