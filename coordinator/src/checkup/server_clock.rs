//! Whether the NATS server and the coordinator agree on the time.

use tvtfleet_bus::{BusError, server_clock};
use tvtfleet_proto::model::checkup::{Finding, Level};

use super::agents::of_skew;
use crate::core::Core;

/// Asks the server for its time; no finding where it does not say.
pub(super) async fn look(core: &Core) -> Option<Finding> {
    judge(server_clock::offset_ms(&core.bus, core.clock.as_ref()).await)
}

fn judge(offset: Result<Option<i64>, BusError>) -> Option<Finding> {
    let found = |text: String| Finding::ok("server", "clock", text);
    let offset = match offset {
        Ok(offset) => offset?,
        Err(error) => {
            let text = format!("cannot be asked for its time: {error}");
            return Some(found(text).worse(Level::Warn, "look at the log of nats-server"));
        }
    };
    let Some(level) = of_skew(offset) else {
        return Some(found("agrees with the coordinator's".to_owned()));
    };
    let way = if offset > 0 { "ahead of" } else { "behind" };
    let seconds = offset.unsigned_abs() / 1000;
    let text = format!("is {seconds} s {way} the coordinator's");
    let advice = "run a time service on both machines";
    Some(found(text).worse(level, advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_clock_is_judged() {
        let at = |offset| judge(Ok(Some(offset))).unwrap();
        assert_eq!(at(4_999).level, Level::Ok);
        assert_eq!(at(5_000).level, Level::Warn);
        assert_eq!(at(5_000).text, "is 5 s ahead of the coordinator's");
        assert_eq!(at(-60_000).level, Level::Fail);
        assert_eq!(at(-60_000).text, "is 60 s behind the coordinator's");
        assert!(!at(i64::MIN).advice.is_empty());
        assert_eq!(judge(Ok(None)), None);
        let silent = judge(Err(BusError::Timeout { what: "it" })).unwrap();
        assert_eq!(silent.level, Level::Warn);
    }
}
