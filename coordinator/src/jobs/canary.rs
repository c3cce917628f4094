//! Whether a change of many sites may go on after its first devices, and after failures.
//!
//! Pure. The first site of a job is its canary: the other sites are not told before the devices that
//! come first there have been changed. What is known of the first site decides, and that is in the
//! database: a restart in between changes nothing.

use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::job::WorkOptions;

use super::tracker::SiteTrack;

/// What the first devices of a job say about the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// The other sites may begin. Never closes again.
    Open,
    /// Nobody knows yet.
    Waits,
    /// The other sites are left alone.
    Stopped,
}

/// How many devices of the first site come first; `None` for work that goes everywhere at once.
pub(crate) fn size(options: &WorkOptions) -> Option<u32> {
    let changes = Ask::changes_device(options.ask);
    let order = options.order.as_deref()?;
    (changes && !order.dry_run).then_some(order.canary)
}

/// How many devices may fail, at all sites together, before no other is changed; `None` for work that
/// changes nothing.
pub(crate) fn stop_after(options: &WorkOptions) -> Option<u32> {
    let order = options.order.as_deref()?;
    size(options).map(|_| order.stop_after)
}

/// What the first site says. Its agent asks no other device before the canary is done, and none after
/// one of it has failed, so successes alone show that the canary went well.
pub(crate) fn gate(canary: u32, first: &SiteTrack) -> Gate {
    if first.devices.ok >= canary.min(first.devices.total) {
        Gate::Open
    } else if first.devices.failed > 0 || first.state.is_terminal() {
        Gate::Stopped
    } else {
        Gate::Waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::model::order::Order;

    #[test]
    fn the_canary_has_to_go_well_and_then_failures_are_the_sites_own() {
        let of = |ok: u32, failed: u32, canary: u32| {
            let mut first = SiteTrack::new(5);
            (0..ok).for_each(|_| first.reported(true, 0));
            (0..failed).for_each(|_| first.reported(false, 0));
            gate(canary, &first)
        };
        assert_eq!(of(0, 0, 2), Gate::Waits);
        assert_eq!(of(1, 0, 2), Gate::Waits);
        assert_eq!(of(2, 0, 2), Gate::Open);
        assert_eq!(of(2, 3, 2), Gate::Open);
        assert_eq!(of(1, 1, 2), Gate::Stopped);
        assert_eq!(of(0, 5, 2), Gate::Stopped);
        assert_eq!(of(5, 0, 9), Gate::Open, "a site smaller than the canary");
    }

    #[test]
    fn a_site_that_ended_without_a_word_stops_the_others() {
        let mut first = SiteTrack::new(3);
        first.cancel();
        assert_eq!(gate(1, &first), Gate::Stopped);
    }

    #[test]
    fn questions_and_looks_go_everywhere_at_once() {
        let of = |ask, dry_run| {
            size(&WorkOptions {
                ask,
                order: Some(Box::new(Order {
                    dry_run,
                    ..Order::default()
                })),
                ..WorkOptions::default()
            })
        };
        assert_eq!(of(Ask::SetImage, false), Some(1));
        assert_eq!(of(Ask::SetImage, true), None);
        assert_eq!(size(&WorkOptions::default()), None);
    }
}
