//! How the agents are doing.

use tvtfleet_proto::model::agent::AgentView;
use tvtfleet_proto::model::checkup::{Finding, Level};

use super::{DISK_WARN, of_disk};

/// How far the clock of a site or server may be off, in milliseconds.
const SKEW_WARN: u64 = 5_000;
const SKEW_FAIL: u64 = 60_000;
/// Bytes of results that may wait at a site.
const BACKLOG_WARN: u64 = 64 * 1024 * 1024;
/// Sites that are named one by one in each kind of finding.
const NAMED: usize = 20;

/// Judges the agents: one finding for all that are well, and one for each thing that is not.
pub(super) fn look(views: &[AgentView], version: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let online = views.iter().filter(|view| view.online).count();
    let text = format!("{online} of {} are connected", views.len());
    findings.push(Finding::ok("agent", "", text));
    let kinds: [fn(&AgentView, &str) -> Option<Finding>; 7] =
        [offline, clock, backlog, damaged, disk, outdated, behind];
    for kind in kinds {
        let found: Vec<Finding> = views
            .iter()
            .filter_map(|view| kind(view, version))
            .collect();
        let more = found.len().saturating_sub(NAMED);
        findings.extend(found.into_iter().take(NAMED));
        if more > 0 {
            let text = format!("{more} more sites of the kind before");
            findings
                .push(Finding::ok("agent", "", text).worse(Level::Warn, "see tvtctl agents list"));
        }
    }
    findings
}

fn offline(view: &AgentView, _: &str) -> Option<Finding> {
    let seen = view
        .last_seen
        .map_or_else(|| "never".to_owned(), |seen| seen.to_string());
    (!view.online).then(|| {
        found(view, format!("not connected, last heard {seen}"))
            .worse(Level::Warn, "look at the box and its line")
    })
}

fn clock(view: &AgentView, _: &str) -> Option<Finding> {
    let level = of_skew(view.clock_skew_ms)?;
    let text = format!("its clock is off by {} s", view.clock_skew_ms / 1000);
    view.online
        .then(|| found(view, text).worse(level, "run a time service on the box"))
}

/// Judges how far a clock is off, in milliseconds; `None` where that is well.
pub(super) fn of_skew(skew_ms: i64) -> Option<Level> {
    match skew_ms.unsigned_abs() {
        SKEW_FAIL.. => Some(Level::Fail),
        SKEW_WARN.. => Some(Level::Warn),
        _ => None,
    }
}

fn backlog(view: &AgentView, _: &str) -> Option<Finding> {
    (view.spool_bytes > BACKLOG_WARN).then(|| {
        let text = format!("{} MB of results wait there", view.spool_bytes >> 20);
        found(view, text).worse(Level::Warn, "look at its line to the server")
    })
}

fn damaged(view: &AgentView, _: &str) -> Option<Finding> {
    let damaged = view.health.map_or(0, |health| health.damaged);
    (damaged > 0).then(|| {
        let text = format!("{damaged} damaged files of its spool were set aside");
        found(view, text).worse(
            Level::Warn,
            "check its disk, then delete spool/*.damaged there",
        )
    })
}

fn disk(view: &AgentView, _: &str) -> Option<Finding> {
    let free = view.health.map_or(0, |health| health.disk_free);
    (free > 0 && free < DISK_WARN).then(|| of_disk(&view.site.to_string(), free))
}

fn outdated(view: &AgentView, version: &str) -> Option<Finding> {
    (view.online && view.facts.version != version).then(|| {
        let text = format!(
            "runs version {}, the coordinator {version}",
            view.facts.version
        );
        found(view, text).worse(Level::Warn, "update the agent")
    })
}

fn behind(view: &AgentView, _: &str) -> Option<Finding> {
    (view.online && view.want_taken < view.want_newest).then(|| {
        found(view, "has not taken its newest work".to_owned())
            .worse(Level::Warn, "look again in a minute, then at its log")
    })
}

fn found(view: &AgentView, text: String) -> Finding {
    Finding::ok("agent", &view.site.to_string(), text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::model::agent::{AgentFacts, SpoolHealth};
    use tvtfleet_proto::model::id::{Sequence, WantRevision};

    fn well(site: &str) -> AgentView {
        AgentView {
            site: site.parse().unwrap(),
            online: true,
            last_seen: None,
            facts: AgentFacts {
                version: "1".into(),
                ..AgentFacts::default()
            },
            epoch: None,
            committed: Sequence(0),
            next: Sequence(1),
            spool_bytes: 0,
            clock_skew_ms: 0,
            want_taken: WantRevision(1),
            want_newest: WantRevision(1),
            health: Some(SpoolHealth {
                kept_bytes: 0,
                damaged: 0,
                disk_free: 1 << 40,
            }),
        }
    }

    #[test]
    fn each_trouble_is_named_once() {
        let base = || well("acme/depot");
        assert_eq!(look(&[base()], "1").len(), 1);
        let health = |damaged, disk_free| {
            Some(SpoolHealth {
                kept_bytes: 0,
                damaged,
                disk_free,
            })
        };
        let troubles = [
            (
                AgentView {
                    online: false,
                    ..base()
                },
                Level::Warn,
            ),
            (
                AgentView {
                    clock_skew_ms: -6_000,
                    ..base()
                },
                Level::Warn,
            ),
            (
                AgentView {
                    clock_skew_ms: 90_000,
                    ..base()
                },
                Level::Fail,
            ),
            (
                AgentView {
                    spool_bytes: BACKLOG_WARN + 1,
                    ..base()
                },
                Level::Warn,
            ),
            (
                AgentView {
                    health: health(2, 1 << 40),
                    ..base()
                },
                Level::Warn,
            ),
            (
                AgentView {
                    health: health(0, 5),
                    ..base()
                },
                Level::Fail,
            ),
            (
                AgentView {
                    want_newest: WantRevision(2),
                    ..base()
                },
                Level::Warn,
            ),
        ];
        for (view, level) in troubles {
            let found = look(&[view], "1");
            assert_eq!(found.len(), 2, "{found:?}");
            assert_eq!(found[1].level, level);
            assert!(!found[1].advice.is_empty());
        }
        assert_eq!(look(&[base()], "2")[1].level, Level::Warn);
    }

    #[test]
    fn many_sites_are_counted() {
        let views: Vec<_> = (0..50)
            .map(|number| AgentView {
                online: false,
                ..well(&format!("acme/site-{number}"))
            })
            .collect();
        assert_eq!(look(&views, "1").len(), 1 + NAMED + 1);
    }
}
