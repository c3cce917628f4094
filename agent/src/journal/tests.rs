use super::*;
use tvtfleet_proto::model::job::WorkOptions;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::model::want::{Target, WantState};

fn job() -> JobId {
    JobId::new(uuid::Uuid::from_u128(3))
}

fn work() -> SiteWork {
    let target = Target {
        number: TargetNo(4),
        endpoint: "10.0.0.1:6036".parse().unwrap(),
        known_mac: None,
        trusted: true,
        credential: None,
        settings: Default::default(),
    };
    SiteWork {
        options: WorkOptions::default(),
        targets: vec![target],
    }
}

fn want(work: Option<SiteWork>) -> JobWant {
    JobWant {
        job: job(),
        state: WantState::Run,
        not_after: UtcMillis::new(1_793_000_000_000),
        traceparent: String::new(),
        target_count: 1,
        work,
        order: None,
    }
}

fn device(sequence: u64) -> ReportedDevice {
    let mac = Some(MacAddr::from([0x58, 0x5B, 0x69, 0, 0, 1]));
    ReportedDevice {
        sequence: Sequence(sequence),
        refused: true,
        mac,
    }
}

fn open(folder: &Path) -> Vec<(JournalJob, JobFile)> {
    Journal::open(folder, &|_| false).unwrap().1
}

#[test]
fn a_job_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, jobs) = Journal::open(folder.path(), &|_| false).unwrap();
    assert!(jobs.is_empty());
    let mut file = journal.create(&want(None)).unwrap();
    file.note_work(&work()).unwrap();
    file.note_reported(TargetNo(4), device(9)).unwrap();
    drop(file);
    let mut jobs = open(folder.path());
    let (found, mut file) = jobs.pop().unwrap();
    assert_eq!(found.want, want(Some(work())));
    assert_eq!(found.reported, [(TargetNo(4), device(9))].into());
    assert_eq!(found.range(), Some((Sequence(9), Sequence(9))));
    assert!(!found.ended);
    file.note_ended(Sequence(10)).unwrap();
    assert!(open(folder.path())[0].0.ended);
    journal.remove(job()).unwrap();
    journal.remove(job()).unwrap();
    assert!(open(folder.path()).is_empty());
}

#[test]
fn reports_in_lost_batches_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(folder.path(), &|_| false).unwrap();
    let mut file = journal.create(&want(Some(work()))).unwrap();
    file.note_reported(TargetNo(4), device(9)).unwrap();
    let (_, jobs) = Journal::open(folder.path(), &|sequence| sequence == Sequence(9)).unwrap();
    assert!(jobs[0].0.reported.is_empty());
    assert!(open(folder.path())[0].0.reported.is_empty(), "for good");
}

#[test]
fn a_discovery_goes_on_with_what_it_found() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(folder.path(), &|_| false).unwrap();
    let mut file = journal.create(&want(Some(work()))).unwrap();
    let address = std::net::Ipv4Addr::new(10, 0, 0, 7);
    let device = DiscoveredDevice::try_from(v1::DiscoveredDevice {
        source: address.into(),
        claims: Some(v1::Claims::default()),
        ..v1::DiscoveredDevice::default()
    })
    .unwrap();
    let cursor = SweepCursor {
        seed: 77,
        position: 12,
    };
    file.note_found(TargetNo(5), &device).unwrap();
    file.note_cursor(cursor).unwrap();
    let found = open(folder.path()).remove(0).0;
    assert_eq!(found.found, [(TargetNo(5), device)].into());
    assert_eq!((found.cursor, found.searched), (Some(cursor), None));
    file.note_searched(Sequence(9)).unwrap();
    let found = open(folder.path()).remove(0).0;
    assert_eq!(found.range(), Some((Sequence(9), Sequence(9))));
    let (_, jobs) = Journal::open(folder.path(), &|sequence| sequence == Sequence(9)).unwrap();
    assert_eq!(jobs[0].0.searched, None);
    assert_eq!(open(folder.path())[0].0.searched, None, "for good");
}

#[test]
fn any_cut_keeps_what_was_written_before() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(folder.path(), &|_| false).unwrap();
    let mut file = journal.create(&want(Some(work()))).unwrap();
    let path = file.path.clone();
    let first = std::fs::metadata(&path).unwrap().len();
    file.note_reported(TargetNo(4), device(9)).unwrap();
    file.note_ended(Sequence(10)).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for cut in usize::try_from(first).unwrap()..bytes.len() {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let (found, mut file) = open(folder.path()).pop().unwrap();
        assert!(!found.ended);
        file.note_ended(Sequence(10)).unwrap();
        assert!(open(folder.path())[0].0.ended, "cut at {cut}");
    }
    std::fs::write(&path, &bytes[..5]).unwrap();
    assert!(open(folder.path()).is_empty());
    assert!(!path.exists(), "set aside");
}

#[test]
fn what_was_about_to_be_changed_outlives_the_agent() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(folder.path(), &|_| false).unwrap();
    let mut file = journal.create(&want(Some(work()))).unwrap();
    let change = DeviceChange {
        channel: Some(2),
        setting: Some("bright".into()),
        old: Some("51".into()),
        new: Some("60".into()),
        outcome: None,
    };
    file.note_intended(TargetNo(4), vec![change.clone()])
        .unwrap();
    drop(file);
    let found = open(folder.path()).pop().unwrap().0;
    assert_eq!(
        found.intended,
        BTreeMap::from([(TargetNo(4), vec![change])])
    );
    assert!(found.reported.is_empty());
}
