//! Devices on which the library crashed or hung again and again: each try takes a session of the device
//! with it, so they are left alone for a while.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::report::Failure;

/// So many helpers lost in a row are enough.
const LOST_MAX: u32 = 3;
/// How long a device is left alone then; one try after that decides on as long again.
const REST: Duration = Duration::from_secs(15 * 60);
/// How many devices are remembered; beyond that, none is added.
const DEVICES_MAX: usize = 4096;

/// Helpers lost in a row, by device. Kept in memory: a new start may try again.
#[derive(Debug, Default)]
pub(crate) struct Fuses(Mutex<BTreeMap<Endpoint, Fuse>>);

#[derive(Clone, Copy, Debug)]
struct Fuse {
    lost: u32,
    last: Instant,
    code: ErrorCode,
}

impl Fuses {
    /// Whether the library may be tried on a device.
    ///
    /// # Errors
    ///
    /// `sdk.unavailable` while the device is left alone.
    pub(super) fn check(&self, device: &Endpoint, now: Instant) -> Result<(), Failure> {
        let fuses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(fuse) = fuses.get(device).filter(|fuse| fuse.lost >= LOST_MAX) else {
            return Ok(());
        };
        let rest = REST.saturating_sub(now.saturating_duration_since(fuse.last));
        if rest.is_zero() {
            return Ok(());
        }
        let text = format!(
            "the vendor's library was lost on this device {} times in a row, at last by {}; it is tried \
             again in {} minutes",
            fuse.lost,
            fuse.code,
            rest.as_secs().div_ceil(60)
        );
        Err(Failure::new(ErrorCode::SdkUnavailable, text))
    }

    /// A helper was lost.
    pub(super) fn lost(&self, device: &Endpoint, code: ErrorCode, now: Instant) {
        let mut fuses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if fuses.len() >= DEVICES_MAX && !fuses.contains_key(device) {
            return;
        }
        let fuse = fuses.entry(device.clone()).or_insert(Fuse {
            lost: 0,
            last: now,
            code,
        });
        *fuse = Fuse {
            lost: fuse.lost.saturating_add(1),
            last: now,
            code,
        };
    }

    /// A helper came to its end as it should.
    pub(super) fn kept(&self, device: &Endpoint) {
        let mut fuses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fuses.remove(device);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_left_alone_after_three_losses_in_a_row_and_tried_again_once() {
        let fuses = Fuses::default();
        let device: Endpoint = "10.0.0.1:6036".parse().unwrap();
        let other: Endpoint = "10.0.0.2:6036".parse().unwrap();
        let now = Instant::now();
        let lose = |at| fuses.lost(&device, ErrorCode::SdkCrashed, at);
        lose(now);
        lose(now);
        assert_eq!(fuses.check(&device, now), Ok(()));
        fuses.kept(&device);
        for _ in 0..3 {
            assert_eq!(fuses.check(&device, now), Ok(()));
            lose(now);
        }
        let failure = fuses.check(&device, now).unwrap_err();
        assert_eq!(failure.code, ErrorCode::SdkUnavailable);
        assert!(
            failure
                .text
                .contains("3 times in a row, at last by sdk.crashed"),
            "{failure}"
        );
        assert!(failure.text.ends_with("in 15 minutes"), "{failure}");
        assert_eq!(fuses.check(&other, now), Ok(()));
        let later = now + REST;
        assert_eq!(fuses.check(&device, later), Ok(()), "one more try");
        lose(later);
        assert!(fuses.check(&device, later).is_err(), "and as long again");
    }
}
