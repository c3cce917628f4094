//! New identifiers.

use tvtfleet_bus::clock::Clock;
use uuid::{ContextV7, Timestamp, Uuid};

/// A UUID of version 7: its order is the order of time.
#[must_use]
pub(crate) fn fresh(clock: &dyn Clock) -> Uuid {
    let millis = u64::try_from(clock.now().millis()).unwrap_or(0);
    let nanos = u32::try_from(millis % 1000)
        .unwrap_or(0)
        .saturating_mul(1_000_000);
    Uuid::new_v7(Timestamp::from_unix(ContextV7::new(), millis / 1000, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_bus::clock::ManualClock;
    use tvtfleet_proto::model::time::UtcMillis;

    #[test]
    fn identifiers_carry_the_time_and_differ() {
        let clock = ManualClock::new(UtcMillis::new(1_793_000_000_123));
        let (first, second) = (fresh(&clock), fresh(&clock));
        assert_ne!(first, second);
        assert_eq!(first.get_version_num(), 7);
        let (seconds, nanos) = first.get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos), (1_793_000_000, 123_000_000));
    }
}
