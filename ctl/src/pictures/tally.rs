//! How far pictures are, in words.

use std::collections::BTreeMap;
use std::time::Duration;

/// How many there are, at which rate, and what failed.
pub(crate) fn summary(
    taken: usize,
    offline: usize,
    failures: &BTreeMap<String, usize>,
    elapsed: Duration,
) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let rate = f64::from(u32::try_from(taken).unwrap_or(u32::MAX)) / seconds;
    let mut text = format!("{taken} taken, {rate:.1}/s");
    if offline > 0 {
        text.push_str(&format!(", {offline} offline skipped"));
    }
    let mut reasons: Vec<(&String, &usize)> = failures.iter().collect();
    reasons.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    if !reasons.is_empty() {
        let list: Vec<String> = reasons
            .iter()
            .map(|(code, count)| format!("{count} {code}"))
            .collect();
        text.push_str(&format!(", failed: {}", list.join(", ")));
    }
    text
}
