//! The result of a comparison.

use crate::results::ChannelKey;

/// Everything that differs between two scans.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diff<'a> {
    /// Devices in the old scan.
    pub old_devices: usize,
    /// Devices in the new scan.
    pub new_devices: usize,
    /// Devices that differ, by site, then address. Those of which something is merely newly known
    /// are among them.
    pub devices: Vec<DeviceDiff<'a>>,
    /// Devices of both scans that do not differ at all.
    pub unchanged: usize,
}

/// One device that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceDiff<'a> {
    /// The sort of difference.
    pub kind: DeviceChange,
    /// The site, as the newer scan says.
    pub site: &'a str,
    /// The operator's name of the device, as the newer scan says; may be empty.
    pub hostname: &'a str,
    /// The address, as the newer scan says.
    pub address: &'a str,
    /// The port, as the newer scan says; 0 where unknown.
    pub port: i64,
    /// The lasting name, where a scan gives one.
    pub device_id: Option<&'a str>,
    /// Whether its site, address or port changed.
    pub moved: bool,
    /// Changed fields, in the order of a result file.
    pub fields: Vec<FieldChange<'a>>,
    /// What was not known before. Not a change of the device.
    pub newly_known: Vec<FieldChange<'a>>,
    /// How many channels it had and has.
    pub channels: ChannelCounts,
    /// Channels that differ: added, removed, changed, each by channel.
    pub channel_changes: Vec<ChannelDiff<'a>>,
    /// How it failed in the old scan.
    pub old_reason: Option<Reason<'a>>,
    /// How it fails in the new scan, or why its channels are not known.
    pub new_reason: Option<Reason<'a>>,
}

/// The sort of a device's difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceChange {
    /// Only in the new scan.
    Added,
    /// Only in the old scan.
    Removed,
    /// Another device stands at the same site and address.
    Replaced,
    /// Was asked with success before, and failed now.
    Unreachable,
    /// Failed before, and was asked with success now.
    Recovered,
    /// Failed before and now, for another reason.
    FailsDifferently,
    /// Asked with success (or failed alike) both times, and something differs.
    Changed,
    /// Nothing differs, but something is known that was not.
    NewlyKnown,
}

impl DeviceChange {
    /// Every sort, in the order of reports.
    pub const ALL: [Self; 8] = [
        Self::Added,
        Self::Removed,
        Self::Replaced,
        Self::Unreachable,
        Self::Recovered,
        Self::FailsDifferently,
        Self::Changed,
        Self::NewlyKnown,
    ];

    /// The name used in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Replaced => "replaced",
            Self::Unreachable => "unreachable",
            Self::Recovered => "recovered",
            Self::FailsDifferently => "fails_differently",
            Self::Changed => "changed",
            Self::NewlyKnown => "newly_known",
        }
    }
}

/// How many channels a device had and has; `None` where it was not there or did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelCounts {
    /// In the old scan.
    pub old: Option<usize>,
    /// In the new scan.
    pub new: Option<usize>,
}

/// Why a device or its channels are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason<'a> {
    /// The error code; `None` in pytvt's files.
    pub code: Option<&'a str>,
    /// The text for people; may be empty.
    pub text: &'a str,
}

/// One field with two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldChange<'a> {
    /// The key of the result file.
    pub field: &'static str,
    /// The old value.
    pub old: Value<'a>,
    /// The new value.
    pub new: Value<'a>,
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Nothing is known.
    Nothing,
    /// Text; may be empty.
    Text(&'a str),
    /// A whole number.
    Number(i64),
}

/// One channel that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelDiff<'a> {
    /// The sort of difference.
    pub kind: ChannelChange,
    /// The recorder's name of the channel, as the newer scan says.
    pub channel: &'a ChannelKey<'a>,
    /// Its name, as the newer scan says.
    pub name: &'a str,
    /// Its address, as the newer scan says; may be empty.
    pub address: &'a str,
    /// The channel that the camera was on before, where it is on another now.
    pub moved_from: Option<&'a ChannelKey<'a>>,
    /// Changed fields, in the order of a result file.
    pub fields: Vec<FieldChange<'a>>,
}

/// The sort of a channel's difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChannelChange {
    /// Only in the new scan.
    Added,
    /// Only in the old scan.
    Removed,
    /// In both.
    Changed,
}

impl ChannelChange {
    /// The name used in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// How many devices and channels differ, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Devices only in the new scan.
    pub added: usize,
    /// Devices only in the old scan.
    pub removed: usize,
    /// Devices that another one took the place of.
    pub replaced: usize,
    /// Devices that fail now and did not before.
    pub unreachable: usize,
    /// Devices that failed before and do not now.
    pub recovered: usize,
    /// Devices that fail for another reason.
    pub fails_differently: usize,
    /// Devices of which something else differs.
    pub changed: usize,
    /// Devices of which something is merely newly known.
    pub newly_known: usize,
    /// Devices of any sort whose site, address or port changed.
    pub moved: usize,
    /// Devices that do not differ at all.
    pub unchanged: usize,
    /// Channels added to devices of both scans.
    pub channels_added: usize,
    /// Channels removed from devices of both scans.
    pub channels_removed: usize,
    /// Channels that differ otherwise.
    pub channels_changed: usize,
}

impl Diff<'_> {
    /// Whether the scans agree; what is merely newly known is no difference.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.devices
            .iter()
            .all(|device| device.kind == DeviceChange::NewlyKnown)
    }

    /// Counts.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            unchanged: self.unchanged,
            ..Totals::default()
        };
        for device in &self.devices {
            *match device.kind {
                DeviceChange::Added => &mut totals.added,
                DeviceChange::Removed => &mut totals.removed,
                DeviceChange::Replaced => &mut totals.replaced,
                DeviceChange::Unreachable => &mut totals.unreachable,
                DeviceChange::Recovered => &mut totals.recovered,
                DeviceChange::FailsDifferently => &mut totals.fails_differently,
                DeviceChange::Changed => &mut totals.changed,
                DeviceChange::NewlyKnown => &mut totals.newly_known,
            } += 1;
            totals.moved += usize::from(device.moved);
            for channel in &device.channel_changes {
                *match channel.kind {
                    ChannelChange::Added => &mut totals.channels_added,
                    ChannelChange::Removed => &mut totals.channels_removed,
                    ChannelChange::Changed => &mut totals.channels_changed,
                } += 1;
            }
        }
        totals
    }
}
