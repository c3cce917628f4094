//! What a report changes in what is known of its device.
//!
//! Pure. The comparison is that of [`crate::diff`], with what is known before and after the report
//! as the two scans: what was not known before is no change, and what a report leaves out has not
//! gone away.

use std::borrow::Cow;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::change::ChangeKind;
use tvtfleet_proto::model::channel::Channel;
use tvtfleet_proto::model::report::DeviceFacts;

use crate::diff::{self, ChannelChange, ChannelDiff, Value};
use crate::results::{CameraRecord, DeviceInfo, ResultRecord};

/// The most changes that are listed of one report: more than a recorder has channels.
const LISTED_MAX: usize = 512;

/// What is known of a device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    /// What it says of itself.
    pub(crate) facts: &'a DeviceFacts,
    /// Its channels; `None` where they are not known.
    pub(crate) channels: Option<&'a [Channel]>,
}

/// A change without its place and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) kind: ChangeKind,
    pub(crate) channel: String,
    pub(crate) channel_name: String,
    pub(crate) field: &'static str,
    pub(crate) old: String,
    pub(crate) new: String,
}

impl Draft {
    /// A change of the device itself.
    pub(crate) fn device(
        kind: ChangeKind,
        field: &'static str,
        old: impl Into<String>,
        new: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            channel: String::new(),
            channel_name: String::new(),
            field,
            old: old.into(),
            new: new.into(),
        }
    }
}

/// How asking the device went before and now. `before` is `None` where it was never asked.
pub(crate) fn of_outcome(
    before: Option<Option<ErrorCode>>,
    now: Option<ErrorCode>,
) -> Option<Draft> {
    let kind = match (before?, now) {
        (None, Some(_)) => ChangeKind::Unreachable,
        (Some(_), None) => ChangeKind::Reachable,
        (Some(old), Some(new)) if old != new => ChangeKind::FailsDifferently,
        (None | Some(_), _) => return None,
    };
    let text = |code: Option<ErrorCode>| code.map_or("", ErrorCode::as_str);
    Some(Draft::device(
        kind,
        "error_code",
        text(before.flatten()),
        text(now),
    ))
}

/// What differs between two states of one device.
pub(crate) fn between(before: Known<'_>, after: Known<'_>) -> Vec<Draft> {
    let (was, is) = (record(before), record(after));
    let Some(found) = diff::compare(&was, &is) else {
        return Vec::new();
    };
    let fields = found.fields.iter().map(|change| {
        Draft::device(
            ChangeKind::Field,
            change.field,
            text(change.old),
            text(change.new),
        )
    });
    let channels = found.channel_changes.iter().flat_map(of_channel);
    let mut drafts: Vec<Draft> = fields.chain(channels).collect();
    if drafts.len() > LISTED_MAX {
        let more = drafts
            .len()
            .saturating_sub(LISTED_MAX)
            .saturating_add(1)
            .to_string();
        drafts.truncate(LISTED_MAX.saturating_sub(1));
        drafts.push(Draft::device(ChangeKind::Many, "", "", more));
    }
    drafts
}

fn of_channel(channel: &ChannelDiff<'_>) -> Vec<Draft> {
    let draft = |kind, field, old: String, new: String| Draft {
        kind,
        channel: channel.channel.to_string(),
        channel_name: channel.name.to_owned(),
        field,
        old,
        new,
    };
    let address = || channel.address.to_owned();
    match channel.kind {
        ChannelChange::Added => {
            return vec![draft(
                ChangeKind::ChannelAdded,
                "",
                String::new(),
                address(),
            )];
        }
        ChannelChange::Removed => {
            return vec![draft(
                ChangeKind::ChannelRemoved,
                "",
                address(),
                String::new(),
            )];
        }
        ChannelChange::Changed => {}
    }
    let moved = channel.moved_from.map(|from| {
        draft(
            ChangeKind::ChannelMoved,
            "channel",
            from.to_string(),
            channel.channel.to_string(),
        )
    });
    let fields = channel.fields.iter().map(|change| {
        let kind = match change.field {
            "name" => ChangeKind::ChannelRenamed,
            "status" => ChangeKind::ChannelStatus,
            "address" => ChangeKind::ChannelAddress,
            _ => ChangeKind::ChannelField,
        };
        draft(kind, change.field, text(change.old), text(change.new))
    });
    moved.into_iter().chain(fields).collect()
}

/// A state as a record of a good scan: where and under what name the device stands is not compared
/// here.
fn record(known: Known<'_>) -> ResultRecord<'_> {
    let facts = known.facts;
    ResultRecord {
        success: true,
        device_name: Cow::Borrowed(&facts.name),
        device_model: Cow::Borrowed(&facts.model),
        serial_number: Cow::Borrowed(&facts.serial),
        firmware: Cow::Borrowed(&facts.firmware),
        total_channels: facts.total_channels.map_or(0, i64::from),
        cameras: known
            .channels
            .unwrap_or_default()
            .iter()
            .map(CameraRecord::from)
            .collect(),
        // An empty list beside an error says nothing about the channels.
        error: known.channels.is_none().then_some(Cow::Borrowed("")),
        device_info: DeviceInfo {
            mac: facts.mac.map(|mac| Cow::Owned(mac.to_string())),
            ..DeviceInfo::default()
        },
        ..ResultRecord::default()
    }
}

fn text(value: Value<'_>) -> String {
    match value {
        Value::Nothing => String::new(),
        Value::Text(text) => text.to_owned(),
        Value::Number(number) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::model::channel::{ChannelLabel, ChannelStatus, StatusSource};

    fn channel(number: i64, name: &str) -> Channel {
        Channel {
            label: ChannelLabel::Number(number),
            name: name.into(),
            address: format!("192.168.1.{number}"),
            port: 9008,
            status: ChannelStatus::Online,
            status_source: StatusSource::ChannelList,
            protocol: "TVT".into(),
            model: String::new(),
        }
    }

    fn facts(firmware: &str) -> DeviceFacts {
        DeviceFacts {
            model: "TD".into(),
            firmware: firmware.into(),
            ..DeviceFacts::default()
        }
    }

    fn found(
        before: (&DeviceFacts, Option<&[Channel]>),
        after: (&DeviceFacts, Option<&[Channel]>),
    ) -> Vec<String> {
        let known = |(facts, channels)| Known { facts, channels };
        between(known(before), known(after))
            .iter()
            .map(|draft| {
                format!(
                    "{} {} {} {}>{}",
                    draft.kind, draft.channel, draft.field, draft.old, draft.new
                )
            })
            .collect()
    }

    #[test]
    fn each_difference_is_one_change() {
        let (old, new) = (facts("1.0"), facts("1.1"));
        let before = [channel(1, "Gate"), channel(2, "Yard"), channel(3, "Roof")];
        let mut after = vec![channel(1, "Front gate"), channel(2, "Yard")];
        after[1].status = ChannelStatus::Offline;
        after.push(channel(4, "Cellar"));
        assert_eq!(
            found((&old, Some(&before)), (&new, Some(&after))),
            [
                "field  firmware 1.0>1.1",
                "channel_added 4  >192.168.1.4",
                "channel_removed 3  192.168.1.3>",
                "channel_renamed 1 name Gate>Front gate",
                "channel_status 2 status Online>Offline",
            ]
        );
    }

    #[test]
    fn what_was_not_known_or_is_not_said_is_no_change() {
        let (nothing, something) = (DeviceFacts::default(), facts("1.0"));
        let channels = [channel(1, "Gate")];
        for (before, after) in [
            ((&nothing, None), (&something, Some(&channels[..]))),
            ((&something, Some(&channels[..])), (&something, None)),
            ((&something, None), (&something, Some(&[][..]))),
        ] {
            assert!(found(before, after).is_empty());
        }
        let gone = found((&something, Some(&channels)), (&something, Some(&[])));
        assert_eq!(gone, ["channel_removed 1  192.168.1.1>"]);
    }

    #[test]
    fn a_report_that_changes_everything_is_bounded() {
        let before: Vec<Channel> = (1..=2000).map(|number| channel(number, "a")).collect();
        let after: Vec<Channel> = (1..=2000).map(|number| channel(number, "b")).collect();
        let facts = facts("1.0");
        let found = found((&facts, Some(&before)), (&facts, Some(&after)));
        assert_eq!(found.len(), LISTED_MAX);
        assert_eq!(found.last().map(String::as_str), Some("many   >1489"));
    }

    #[test]
    fn reachability_changes_from_one_report_to_the_next() {
        use ErrorCode::{ConnectTimeout, LoginRejected};
        let kind = |before, now| of_outcome(before, now).map(|draft| draft.kind);
        assert_eq!(kind(None, Some(ConnectTimeout)), None);
        assert_eq!(kind(Some(None), None), None);
        assert_eq!(
            kind(Some(None), Some(ConnectTimeout)),
            Some(ChangeKind::Unreachable)
        );
        assert_eq!(
            kind(Some(Some(ConnectTimeout)), None),
            Some(ChangeKind::Reachable)
        );
        assert_eq!(
            kind(Some(Some(ConnectTimeout)), Some(LoginRejected)),
            Some(ChangeKind::FailsDifferently)
        );
    }
}
