//! The books: what the coordinator says it has must be what the recorders say was done.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tvt_sim::Violation;

use super::Outcome;
use super::stage::Stage;

/// Balances one round.
pub(super) async fn balance(stage: &Stage, job: &str, updated: &[String], outcome: &mut Outcome) {
    let mut losses = Vec::new();
    let devices = stage.devices();
    let rows = json(stage, &["jobs", "results", job, "--format", "json"]).await;
    let rows = rows.as_array().cloned().unwrap_or_default();
    let places: BTreeSet<_> = rows
        .iter()
        .map(|row| (row["nvr_ip"].to_string(), row["nvr_port"].to_string()))
        .collect();
    if rows.len() != devices || places.len() != devices {
        losses.push(format!(
            "{} rows of {} devices, {} expected",
            rows.len(),
            places.len(),
            devices
        ));
    }
    let view = json(stage, &["jobs", "show", job, "--format", "json"]).await;
    let counted = view["devices"]["ok"].as_u64().unwrap_or(0)
        + view["devices"]["failed"].as_u64().unwrap_or(0);
    let expected = u64::try_from(devices).unwrap_or(0);
    if counted != expected || view["state"] != "finished" {
        losses.push(format!(
            "{counted} devices counted, {expected} expected: {view}"
        ));
    }
    outcome.reports += counted;
    let asked_for = "SELECT new, count(*) AS n FROM changes WHERE field = 'firmware' \
                     AND new LIKE '9.%' GROUP BY new ORDER BY max(at_ms) DESC";
    let changes = json(stage, &["sql", asked_for, "--format", "json"]).await;
    let changes: BTreeMap<String, u64> = changes["rows"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|row| Some((row["new"].as_str()?.to_owned(), row["n"].as_u64()?)))
        .collect();
    let failed = rows
        .iter()
        .filter(|row| row["success"] != Value::Bool(true))
        .count();
    for (name, count) in &changes {
        if *count != 1 {
            losses.push(format!("the change to {name} stands {count} times"));
        }
    }
    let missing = updated
        .iter()
        .filter(|name| !changes.contains_key(*name))
        .count();
    // A recorder that was not reached still has its old firmware in the inventory.
    if missing > failed {
        losses.push(format!(
            "{missing} changes are missing, {failed} devices failed"
        ));
    }
    outcome.changes += u64::try_from(updated.len() - missing).unwrap_or(0);
    let totals = stage.fleet.simulator.totals();
    // Two copies of one agent ask the same recorders until the coordinator has refused one of them.
    let doubled = totals
        .violation_records
        .iter()
        .filter(|record| record.violation == Violation::ParallelSession)
        .count();
    let others = totals.violation_records.len() - doubled;
    let more = totals.violations > stage.violations && !stage.cloned;
    if totals.logins_failed + totals.lockouts > 0 || others > 0 || more {
        losses.push(format!("the recorders complain: {totals:?}"));
    }
    let (complaints, again) = stage.allowances.judge(&stage.fleet.simulator);
    losses.extend(complaints);
    outcome.again += again;
    let lost = losses.into_iter().map(|loss| format!("job {job}: {loss}"));
    outcome.losses.extend(lost);
}

async fn json(stage: &Stage, arguments: &[&str]) -> Value {
    let said = stage.fleet.ctl(arguments).await;
    serde_json::from_str(&said.stdout).unwrap_or_default()
}
