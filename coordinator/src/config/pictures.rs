//! Where pictures go, and how long they stay.

use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;

const DAY_SECONDS: u64 = 24 * 60 * 60;
const MIB: u64 = 1024 * 1024;

/// How pictures of the fleet are kept; `None` is without a bound.
///
/// A picture goes as soon as one bound is passed, the oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureSettings {
    /// How long they are kept.
    pub keep: Option<Duration>,
    /// The most of one channel.
    pub per_channel: Option<u32>,
    /// The most bytes of all files together.
    pub max_bytes: Option<u64>,
    /// Bytes that stay free on the disk: below, no picture is taken in and the sites wait.
    pub min_free_bytes: u64,
    /// How often it is looked for what has to go.
    pub sweep: Duration,
    /// The most bytes on their way in the message bus; `None` is 10 GB, or 128 MB for development.
    pub stream_max_bytes: Option<u64>,
}

impl Default for PictureSettings {
    /// 90 days, 100 of a channel, 20 GB in all, and half a gigabyte left free.
    fn default() -> Self {
        Self {
            keep: Some(Duration::from_secs(90 * DAY_SECONDS)),
            per_channel: Some(100),
            max_bytes: Some(20 * 1024 * MIB),
            min_free_bytes: 512 * MIB,
            sweep: Duration::from_secs(300),
            stream_max_bytes: None,
        }
    }
}

/// The section of the file; 0 is without a bound.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PicturesSection {
    days: Option<u64>,
    per_channel: Option<u32>,
    max_mb: Option<u64>,
    min_free_mb: Option<u64>,
    sweep_ms: Option<u64>,
    stream_max_mb: Option<u64>,
}

impl PicturesSection {
    pub(super) fn read(self) -> Result<PictureSettings, ConfigError> {
        let default = PictureSettings::default();
        if self.sweep_ms == Some(0) || self.stream_max_mb == Some(0) {
            return Err(ConfigError::invalid("pictures", "must be more than 0"));
        }
        let bound = |value: Option<u64>, default: Option<u64>| match value {
            None => default,
            Some(0) => None,
            Some(value) => Some(value),
        };
        let days = default.keep.map(|keep| keep.as_secs() / DAY_SECONDS);
        let megabytes = default.max_bytes.map(|bytes| bytes / MIB);
        Ok(PictureSettings {
            keep: bound(self.days, days)
                .map(|days| Duration::from_secs(days.saturating_mul(DAY_SECONDS))),
            per_channel: match self.per_channel {
                None => default.per_channel,
                Some(0) => None,
                some => some,
            },
            max_bytes: bound(self.max_mb, megabytes).map(|mb| mb.saturating_mul(MIB)),
            min_free_bytes: self
                .min_free_mb
                .map_or(default.min_free_bytes, |mb| mb.saturating_mul(MIB)),
            sweep: self.sweep_ms.map_or(default.sweep, Duration::from_millis),
            stream_max_bytes: self.stream_max_mb.map(|mb| mb.saturating_mul(MIB)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_no_bound_and_nothing_is_the_default() {
        let read = |text| toml::from_str::<PicturesSection>(text).unwrap().read();
        assert_eq!(read("").unwrap(), PictureSettings::default());
        let some = read("days = 0\nper_channel = 3\nmax_mb = 2\nmin_free_mb = 0").unwrap();
        assert_eq!((some.keep, some.per_channel), (None, Some(3)));
        assert_eq!((some.max_bytes, some.min_free_bytes), (Some(2 * MIB), 0));
        assert!(read("sweep_ms = 0").is_err());
    }
}
