//! What a changing ask is to set, and how carefully.

use std::collections::BTreeMap;

use super::ask::Ask;
use super::id::{CredentialLabel, JobId};

/// The most settings of one order.
pub const SETTINGS_MAX: usize = 32;
/// The most settings of one device whose earlier settings are put back: those of many channels.
pub const TARGET_SETTINGS_MAX: usize = 4096;
/// The longest value of a setting, in bytes.
pub const VALUE_MAX: usize = 256;
/// The value of `time` that stands for the agent's clock.
pub const NOW: &str = "now";

/// What a job is to change at its devices, and in which steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Settings with their new values; what is not named stays.
    pub settings: BTreeMap<String, String>,
    /// The credential of the sites that holds a new password.
    pub new_credential: Option<CredentialLabel>,
    /// The job whose changes are taken back, instead of settings.
    pub undo: Option<JobId>,
    /// Only show what would be changed.
    pub dry_run: bool,
    /// How many devices of a site come first, before the waves; none of them may fail.
    pub canary: u32,
    /// How many devices of a site make a wave. The next one begins when all of a wave are done.
    pub wave: u32,
    /// With so many failed devices, the rest of a site is left alone.
    pub stop_after: u32,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            settings: BTreeMap::new(),
            new_credential: None,
            undo: None,
            dry_run: false,
            canary: 1,
            wave: 10,
            stop_after: 2,
        }
    }
}

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Number(u32, u32),
    Flag,
    /// At most so many characters.
    Text(usize),
    Word(&'static [&'static str]),
}

/// An order that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOrder {
    /// Nothing is to be set.
    #[error("{0} needs to be told what to set: one of {1}")]
    Empty(Ask, String),
    /// The ask knows no such setting.
    #[error("{0} has no setting {1:?}; it has {2}")]
    Unknown(Ask, String, String),
    /// The value does not fit.
    #[error("{0:?} is no value for {1}: {2}")]
    Value(String, String, String),
    /// Options that contradict each other.
    #[error("{0}")]
    Options(&'static str),
}

/// The settings of a changing ask, with what they may be.
const fn table(ask: Ask) -> &'static [(&'static str, Kind)] {
    use Kind::{Flag, Number, Text, Word};
    match ask {
        Ask::SetClock => &[
            ("time", Word(&[NOW])),
            ("time_zone", Text(63)),
            ("sync", Word(&["NTP", "manually"])),
            ("ntp_server", Text(127)),
            ("ntp_interval_min", Number(30, 10_080)),
        ],
        Ask::SetServices => &[("rtsp", Flag), ("web_api", Flag)],
        Ask::SetImage => &[
            ("bright", Number(0, 100)),
            ("contrast", Number(0, 100)),
            ("saturation", Number(0, 100)),
            ("hue", Number(0, 100)),
            ("sharpen", Number(0, 255)),
            ("mirror", Flag),
            ("flip", Flag),
            ("ir_cut", Text(32)),
            ("white_balance", Text(32)),
            ("wdr", Flag),
            ("backlight", Text(32)),
        ],
        Ask::SetStreams => &[
            ("stream", Number(1, 8)),
            ("resolution", Text(16)),
            ("frame_rate", Number(1, 240)),
            ("bitrate_type", Word(&["CBR", "VBR"])),
            ("max_bitrate_kbps", Number(16, 100_000)),
            ("codec", Text(32)),
            ("quality", Text(32)),
            ("gop", Number(1, 1000)),
        ],
        Ask::SetAudio => &[("enabled", Flag)],
        Ask::SetOsd => &[
            ("time_on", Flag),
            (
                "date_format",
                Word(&["year-month-day", "month-day-year", "day-month-year"]),
            ),
            ("name_on", Flag),
            ("name", Text(19)),
        ],
        Ask::SetPlatform => &[
            ("enabled", Flag),
            ("server", Text(127)),
            ("port", Number(1, 65_535)),
            ("report_id", Text(64)),
        ],
        Ask::Scan
        | Ask::Probe
        | Ask::Info
        | Ask::Channels
        | Ask::Disks
        | Ask::Clock
        | Ask::Users
        | Ask::PasswordPolicy
        | Ask::Ports
        | Ask::Services
        | Ask::Image
        | Ask::Streams
        | Ask::Audio
        | Ask::Osd
        | Ask::Recording
        | Ask::RecordingDays
        | Ask::RecordingSegments
        | Ask::RtspUrl
        | Ask::Platform
        | Ask::Snapshot
        | Ask::CameraLogins
        | Ask::Motion
        | Ask::Reboot
        | Ask::SetPassword
        | Ask::Discover => &[],
    }
}

/// The names of the settings of a changing ask.
pub fn settings_of(ask: Ask) -> impl Iterator<Item = &'static str> {
    table(ask).iter().map(|(name, _)| *name)
}

impl Order {
    /// Checks that the order fits an ask.
    ///
    /// # Errors
    ///
    /// What does not fit, in words for people.
    pub fn check(&self, ask: Ask) -> Result<(), BadOrder> {
        let names = || settings_of(ask).collect::<Vec<_>>().join(", ");
        if self.canary == 0 || self.wave == 0 || self.stop_after == 0 {
            return Err(BadOrder::Options(
                "canary, wave and number of failures are at least 1",
            ));
        }
        if self.undo.is_some() && ask == Ask::SetPassword {
            return Err(BadOrder::Options(
                "a password is not taken back: set another one, under its label",
            ));
        }
        if (ask == Ask::SetPassword) != self.new_credential.is_some() {
            return Err(BadOrder::Options(
                "a new credential goes with set-password, and with nothing else",
            ));
        }
        if self.undo.is_some() {
            return if ask.reads().is_none() {
                Err(BadOrder::Options("what only happens cannot be undone"))
            } else if self.settings.is_empty() {
                Ok(())
            } else {
                Err(BadOrder::Options(
                    "a job is undone as a whole, without settings",
                ))
            };
        }
        let mut values = self.settings.keys().filter(|name| *name != "stream");
        if values.next().is_none() && ask.reads().is_some() {
            return Err(BadOrder::Empty(ask, names()));
        }
        for (name, value) in self.settings.iter().take(SETTINGS_MAX + 1) {
            let Some((_, kind)) = table(ask).iter().find(|(known, _)| known == name) else {
                return Err(BadOrder::Unknown(ask, name.clone(), names()));
            };
            kind.check(value)
                .map_err(|why| BadOrder::Value(value.clone(), name.clone(), why))?;
        }
        Ok(())
    }
}

/// The name of a setting of one channel, where the settings of a device are named with their channels.
#[must_use]
pub fn at_channel(name: &str, channel: u32) -> String {
    format!("{name}@{channel}")
}

/// The settings for one document of a device: those that name no channel, and those of this one.
#[must_use]
pub fn settings_at(
    settings: &BTreeMap<String, String>,
    channel: Option<u32>,
) -> BTreeMap<String, String> {
    let here = settings.iter().filter_map(|(name, value)| {
        let name = match name.split_once('@') {
            Some((name, number)) if number.parse().ok() == channel => name,
            Some(_) => return None,
            None => name,
        };
        Some((name.to_owned(), value.clone()))
    });
    here.collect()
}

impl Kind {
    fn check(self, value: &str) -> Result<(), String> {
        if value.chars().any(char::is_control) {
            return Err("it holds a control character".to_owned());
        }
        match self {
            Self::Number(least, most) => match value.parse::<u32>() {
                Ok(number) if (least..=most).contains(&number) => Ok(()),
                _ => Err(format!("write a number from {least} to {most}")),
            },
            Self::Flag if matches!(value, "true" | "false") => Ok(()),
            Self::Flag => Err("write true or false".to_owned()),
            Self::Text(most) if !value.is_empty() && value.chars().count() <= most => Ok(()),
            Self::Text(most) => Err(format!("write 1 to {most} characters")),
            Self::Word(words) if words.contains(&value) => Ok(()),
            Self::Word(words) => Err(format!("write {}", words.join(" or "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(settings: &[(&str, &str)]) -> Order {
        Order {
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..Order::default()
        }
    }

    #[test]
    fn settings_fit_the_ask() {
        for (ask, settings, fits) in [
            (Ask::SetClock, &[("time", "now")][..], true),
            (Ask::SetClock, &[("time", "12:00")], false),
            (Ask::SetClock, &[], false),
            (Ask::SetImage, &[("bright", "100")], true),
            (Ask::SetImage, &[("bright", "101")], false),
            (Ask::SetImage, &[("gop", "1")], false),
            (Ask::SetStreams, &[("stream", "2")], false),
            (Ask::SetServices, &[("rtsp", "on")], false),
            (Ask::SetServices, &[("rtsp", "false")], true),
            (
                Ask::SetOsd,
                &[("name", "more than nineteen characters")],
                false,
            ),
            (Ask::SetPlatform, &[("server", "a\nb")], false),
            (Ask::Reboot, &[], true),
            (Ask::Reboot, &[("rtsp", "true")], false),
            (Ask::SetPassword, &[], false),
        ] {
            let found = order(settings).check(ask);
            assert_eq!(found.is_ok(), fits, "{ask} {settings:?}: {found:?}");
        }
    }

    #[test]
    fn what_sets_something_can_be_undone_and_nothing_else() {
        for ask in Ask::ALL.iter().filter(|ask| ask.changes_device()) {
            let undo = Order {
                undo: Some(JobId::new(uuid::Uuid::nil())),
                ..Order::default()
            };
            let found = undo.check(*ask);
            assert_eq!(found.is_ok(), ask.reads().is_some(), "{ask}: {found:?}");
            let with = Order {
                settings: order(&[("rtsp", "true")]).settings,
                ..undo
            };
            assert!(with.check(*ask).is_err(), "{ask}");
        }
    }

    #[test]
    fn settings_of_other_channels_are_not_for_this_one() {
        let named = [("stream", "2"), ("gop@1", "50"), ("gop@28", "25")];
        let all = order(&named).settings;
        assert_eq!(at_channel("gop", 28), "gop@28");
        let at = |channel| settings_at(&all, channel);
        assert_eq!(
            at(Some(28)),
            order(&[("stream", "2"), ("gop", "25")]).settings
        );
        assert_eq!(at(Some(2)), order(&[("stream", "2")]).settings);
        assert_eq!(at(None), order(&[("stream", "2")]).settings);
    }

    #[test]
    fn every_ask_that_sets_something_has_settings() {
        for ask in Ask::ALL {
            let has = settings_of(*ask).next().is_some();
            assert_eq!(has, ask.reads().is_some(), "{ask}");
            assert!(!has || ask.changes_device(), "{ask}");
        }
    }
}
