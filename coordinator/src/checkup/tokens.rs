//! When the tokens of the agents end. After that moment the server lets an agent in no more, and it
//! asks for a new token as a newcomer would.

use std::time::Duration;

use tvtfleet_proto::model::checkup::{Finding, Level};
use tvtfleet_proto::model::time::UtcMillis;

use crate::core::Core;
use crate::store::{StoreError, belief};

const AREA: &str = "token";
/// Sites that are named one by one.
const NAMED: usize = 20;

/// Looks at the tokens of agents; finds nothing where nobody needs one.
///
/// # Errors
///
/// The database cannot be read.
pub(super) async fn look(core: &Core) -> Result<Vec<Finding>, StoreError> {
    let Some(settings) = &core.config.trust else {
        return Ok(Vec::new());
    };
    let (life, now) = (settings.token_life(), core.clock.now());
    let before = now.before(due(life));
    let limit = NAMED.saturating_add(1);
    let stale = core
        .store
        .read("read when agents got their tokens", move |db| {
            belief::stale_tokens(db, before, limit)
        })
        .await?;
    Ok(of_stale(stale, life, now))
}

/// Agents renew at half of the life; who has not done so at three quarters does not get through.
fn due(life: Duration) -> Duration {
    life.mul_f64(0.75)
}

fn of_stale(stale: Vec<(String, UtcMillis)>, life: Duration, now: UtcMillis) -> Vec<Finding> {
    if stale.is_empty() {
        return vec![Finding::ok(
            AREA,
            "",
            "every agent renews its token in time",
        )];
    }
    let more = stale.len() > NAMED;
    let mut findings = Vec::new();
    for (site, renewed) in stale.into_iter().take(NAMED) {
        let end = renewed.after(life);
        let ended = end <= now;
        let text = if ended {
            format!("its token ended at {end}")
        } else {
            format!("its token ends at {end} and was not renewed")
        };
        let advice = if ended {
            "connect the box again; if it is refused, join it anew with `tvt-agent join --replace`"
        } else {
            "look at the box and its line before the token ends"
        };
        findings.push(Finding::ok(AREA, &site, text).worse(Level::Warn, advice));
    }
    if more {
        let text = format!("more than {NAMED} sites of the kind before");
        findings.push(Finding::ok(AREA, "", text).worse(Level::Warn, "see tvtctl agents list"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_end_are_named_with_their_end() {
        let life = Duration::from_secs(100);
        assert_eq!(due(life), Duration::from_secs(75));
        let (now, at) = (UtcMillis::new(200_000), UtcMillis::new);
        let stale = vec![
            ("a/b".to_owned(), at(90_000)),
            ("a/c".to_owned(), at(120_000)),
        ];
        let found = of_stale(stale, life, now);
        assert!(found[0].text.contains("ended at"), "{:?}", found[0]);
        assert!(found[1].text.contains("was not renewed"), "{:?}", found[1]);
        assert!(found.iter().all(|finding| finding.level == Level::Warn));
        let many = (0..=NAMED)
            .map(|site| (format!("a/{site}"), at(0)))
            .collect();
        assert_eq!(of_stale(many, life, now).len(), NAMED + 1);
        assert_eq!(of_stale(Vec::new(), life, now)[0].level, Level::Ok);
    }
}
