//! Hellos, heartbeats and what they are answered.

use super::*;
use uuid::Uuid;

const OFFLINE: Duration = Duration::from_secs(90);

struct Times {
    start: Instant,
}

impl Times {
    fn at(&self, seconds: u64) -> Moment {
        Moment {
            utc: UtcMillis::new(i64::try_from(seconds).unwrap() * 1000),
            instant: self.start + Duration::from_secs(seconds),
        }
    }
}

fn site() -> SiteId {
    "acme/depot".parse().unwrap()
}

fn epoch(number: u128) -> Epoch {
    Epoch::new(Uuid::from_u128(number))
}

fn hello(of: u128, oldest: u64, next: u64) -> Hello {
    Hello {
        site: site(),
        epoch: epoch(of),
        oldest: Sequence(oldest),
        next: Sequence(next),
        want_revision: WantRevision(0),
        facts: AgentFacts::default(),
        home: String::new(),
    }
}

fn heartbeat(of: u128, next: u64) -> Heartbeat {
    Heartbeat {
        site: site(),
        epoch: epoch(of),
        next: Sequence(next),
        want_revision: WantRevision(0),
        spool_bytes: 7,
        agent_time: UtcMillis::new(0),
        progress: Vec::new(),
        health: None,
        home: String::new(),
    }
}

fn ledger(numbers: &[u64]) -> Ledger {
    let mut ledger = Ledger::default();
    for number in numbers {
        ledger.mark(Sequence(*number));
    }
    ledger
}

/// A coordinator that has granted the site to epoch 1 at second 0.
fn granted(times: &Times, numbers: &[u64]) -> Presence {
    let mut presence = Presence::restore(Vec::new(), OFFLINE, times.start);
    presence.add(&site());
    presence.granted(
        &hello(1, 1, 1),
        &ledger(numbers),
        WantRevision(0),
        times.at(0),
    );
    presence
}

#[test]
fn an_agent_is_online_until_it_is_silent_for_too_long() {
    let times = Times {
        start: Instant::now(),
    };
    let mut presence = granted(&times, &[]);
    assert_eq!(
        presence.seen(&site(), times.at(90).instant),
        (true, Some(UtcMillis::new(0)))
    );
    assert!(!presence.seen(&site(), times.at(91).instant).0);
    presence.heartbeat(&heartbeat(1, 1), true, times.at(100));
    assert_eq!(presence.online(times.at(101).instant).len(), 1);
    assert_eq!(presence.take_unsaved(), [(site(), UtcMillis::new(100_000))]);
    assert_eq!(presence.take_unsaved(), []);
}

#[test]
fn silence_before_a_restart_does_not_count() {
    let times = Times {
        start: Instant::now(),
    };
    let standing = Standing {
        site: site(),
        spool: Some((epoch(1), ledger(&[1, 2]))),
        facts: AgentFacts::default(),
        last_seen: Some(UtcMillis::new(-1_000_000)),
        want: WantRevision(3),
    };
    let mut presence = Presence::restore(vec![standing], OFFLINE, times.start);
    assert!(presence.is_alive(&site(), times.at(90).instant));
    assert!(!presence.is_alive(&site(), times.at(91).instant));
    assert!(
        !presence.seen(&site(), times.at(0).instant).0,
        "alive, but not online"
    );
    let answer = presence.hello(&hello(1, 3, 9), times.at(5)).unwrap();
    assert_eq!(
        (answer.committed, answer.want_revision),
        (Sequence(2), WantRevision(3))
    );
}

#[test]
fn only_a_hello_without_news_is_answered_from_memory() {
    let times = Times {
        start: Instant::now(),
    };
    let mut presence = granted(&times, &[1, 2, 4]);
    let answer = presence.hello(&hello(1, 3, 5), times.at(1)).unwrap();
    assert_eq!(
        (answer.committed, answer.resend_from),
        (Sequence(2), Some(Sequence(3)))
    );
    for news in [
        hello(2, 1, 1),
        hello(1, 4, 5),
        Hello {
            want_revision: WantRevision(9),
            ..hello(1, 3, 5)
        },
        Hello {
            facts: AgentFacts {
                version: "2".into(),
                ..AgentFacts::default()
            },
            ..hello(1, 3, 5)
        },
        Hello {
            site: "acme/other".parse().unwrap(),
            ..hello(1, 3, 5)
        },
    ] {
        assert_eq!(presence.hello(&news, times.at(2)), None, "{news:?}");
    }
}

#[test]
fn strangers_are_refused() {
    let times = Times {
        start: Instant::now(),
    };
    let mut presence = granted(&times, &[]);
    let refused = |presence: &mut Presence, beat: &Heartbeat| {
        presence.heartbeat(beat, true, times.at(1)).refused
    };
    assert_eq!(refused(&mut presence, &heartbeat(1, 1)), None);
    assert_eq!(
        refused(&mut presence, &heartbeat(2, 1)),
        Some(ErrorCode::SiteClaimed)
    );
    let unknown = Heartbeat {
        site: "acme/other".parse().unwrap(),
        ..heartbeat(1, 1)
    };
    assert_eq!(
        refused(&mut presence, &unknown),
        Some(ErrorCode::SiteUnknown)
    );
}

#[test]
fn what_may_be_on_its_way_is_not_asked_for() {
    let times = Times {
        start: Instant::now(),
    };
    let mut presence = granted(&times, &[1, 2]);
    let mut resend =
        |beat: &Heartbeat, idle| presence.heartbeat(beat, idle, times.at(1)).resend_from;
    assert_eq!(
        resend(&heartbeat(1, 5), true),
        None,
        "the first time proves nothing"
    );
    assert_eq!(
        resend(&heartbeat(1, 5), false),
        None,
        "the stream is not at its end"
    );
    assert_eq!(resend(&heartbeat(1, 5), true), Some(Sequence(3)));
    assert_eq!(resend(&heartbeat(1, 3), true), None, "nothing is missing");
}

#[test]
fn a_gap_is_asked_for_even_while_the_stream_is_busy() {
    let times = Times {
        start: Instant::now(),
    };
    let mut presence = granted(&times, &[1, 2, 5]);
    let beat = heartbeat(1, 6);
    assert_eq!(
        presence.heartbeat(&beat, false, times.at(1)).resend_from,
        None
    );
    assert_eq!(
        presence.heartbeat(&beat, false, times.at(2)).resend_from,
        Some(Sequence(3))
    );
    presence.applied(&site(), epoch(1), &ledger(&[1, 2, 3, 5]));
    assert_eq!(
        presence.heartbeat(&beat, false, times.at(3)).resend_from,
        None,
        "it moves"
    );
}

#[test]
fn a_lost_stream_is_replayed_at_once() {
    let times = Times {
        start: Instant::now(),
    };
    let mut presence = granted(&times, &[1, 2]);
    presence.replay_all();
    let beat = heartbeat(1, 9);
    assert_eq!(
        presence.heartbeat(&beat, false, times.at(1)).resend_from,
        Some(Sequence(3))
    );
    assert_eq!(
        presence.heartbeat(&beat, false, times.at(2)).resend_from,
        None,
        "once"
    );
}

#[test]
fn whoever_is_watched_is_told() {
    let times = Times {
        start: Instant::now(),
    };
    let mut presence = granted(&times, &[]);
    presence.watch([site()], times.at(30).instant, times.at(0).instant);
    assert!(
        presence
            .heartbeat(&heartbeat(1, 1), true, times.at(29))
            .watched
    );
    assert!(
        !presence
            .heartbeat(&heartbeat(1, 1), true, times.at(31))
            .watched
    );
}

#[test]
fn progress_is_kept_by_job() {
    let times = Times {
        start: Instant::now(),
    };
    let mut presence = granted(&times, &[]);
    let job = JobId::new(Uuid::from_u128(5));
    let progress = |done| Progress {
        job,
        done,
        failed: 0,
        running: 1,
        total: 9,
        found: 0,
        probes_done: 0,
        probes_total: 0,
    };
    presence.progress(&site(), progress(1), times.at(1));
    presence.progress(&site(), progress(2), times.at(2));
    assert_eq!(presence.progress_of(&site(), job), Some(progress(2)));
}

#[test]
fn the_second_of_two_copies_is_refused_until_the_first_is_gone() {
    let times = Times {
        start: Instant::now(),
    };
    let mut presence = granted(&times, &[1, 2]);
    let now = |seconds| times.at(seconds);
    let home = |home: &str| Hello {
        home: home.into(),
        ..hello(1, 1, 5)
    };
    let beat = |home: &str| Heartbeat {
        home: home.into(),
        ..heartbeat(1, 5)
    };
    presence.granted(&home("a"), &ledger(&[1, 2]), WantRevision(0), now(0));
    assert!(!presence.is_copy(&home("a"), now(1).instant), "a restart");
    assert!(presence.is_copy(&home("b"), now(1).instant));
    assert_eq!(presence.hello(&home("b"), now(1)), None);
    let told = presence.heartbeat(&beat("b"), false, now(2));
    assert_eq!(told.refused, Some(ErrorCode::SiteClaimed));
    assert_eq!(presence.heartbeat(&beat("a"), false, now(2)).refused, None);
    assert!(
        !presence.is_copy(&home("b"), now(200).instant),
        "the first is gone"
    );
    presence.granted(&home("b"), &ledger(&[1, 2]), WantRevision(0), now(200));
    let back = presence.heartbeat(&beat("a"), false, now(201));
    assert_eq!(back.refused, Some(ErrorCode::SiteClaimed));
    assert!(presence.is_copy(&home("a"), now(201).instant));
}
