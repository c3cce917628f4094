//! Who leads, and how far the standbys are.

use std::collections::BTreeMap;
use std::time::Duration;

use tvtfleet_proto::model::checkup::{Finding, Level};
use tvtfleet_proto::model::replica::LogMark;

use crate::core::Core;
use crate::replica::Standby;

const AREA: &str = "replica";
/// Changes that a standby may be behind.
const BEHIND_WARN: u64 = 10_000;

/// Looks at the replicas; finds nothing where there is only one coordinator.
pub(super) fn look(core: &Core) -> Vec<Finding> {
    let Some(settings) = &core.config.replica else {
        return Vec::new();
    };
    let Some(reigning) = &core.lead else {
        let found = Finding::ok(AREA, &settings.name, "a standby answers, nobody leads");
        let advice = "wait until it takes over, and look why the leader is gone";
        return vec![found.worse(Level::Warn, advice)];
    };
    let mark = reigning.lead.mark();
    let text = format!("leads, reign {}, change {}", mark.term, mark.number);
    let mut findings = vec![Finding::ok(AREA, &settings.name, text)];
    findings.extend(of_standbys(mark, settings.lease, &reigning.standbys()));
    findings
}

fn of_standbys(
    leader: LogMark,
    lease: Duration,
    standbys: &BTreeMap<String, Standby>,
) -> Vec<Finding> {
    if standbys.is_empty() {
        let found = Finding::ok(AREA, "", "no standby follows");
        return vec![found.worse(Level::Warn, "start another replica with `--standby`")];
    }
    let mut findings = Vec::new();
    for (name, standby) in standbys {
        let silent = standby.heard.elapsed();
        let behind = leader.number.saturating_sub(standby.mark.number);
        let text = format!(
            "follows, {behind} changes behind, heard {} s ago, version {}",
            silent.as_secs(),
            standby.version
        );
        let found = Finding::ok(AREA, name, text);
        findings.push(if silent > lease {
            found.worse(Level::Warn, "look whether that replica runs")
        } else if behind > BEHIND_WARN {
            found.worse(Level::Warn, "look whether its disk or processor is busy")
        } else {
            found
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn standbys_that_are_silent_or_slow_are_named() {
        let lease = Duration::from_secs(3600);
        let leader = LogMark {
            term: 1,
            number: 20_000,
        };
        let standby = |number| Standby {
            mark: LogMark { term: 1, number },
            version: "1".into(),
            heard: Instant::now(),
        };
        let levels = |lease, standbys: &BTreeMap<String, Standby>| -> Vec<Level> {
            let found = of_standbys(leader, lease, standbys);
            found.into_iter().map(|finding| finding.level).collect()
        };
        let two = BTreeMap::from([("a".into(), standby(19_999)), ("b".into(), standby(5))]);
        assert_eq!(levels(lease, &two), [Level::Ok, Level::Warn]);
        assert_eq!(levels(Duration::ZERO, &two), [Level::Warn, Level::Warn]);
        assert_eq!(levels(lease, &BTreeMap::new()), [Level::Warn]);
    }
}
