//! Partial edits of what the flat dialect of the web API shows: what differs, and what to send.
//!
//! Version 1 devices replace a whole document, version 2 devices merge. So streams and texts are sent
//! whole as they were read, with the change in them, to the former; pictures take parts everywhere.

use std::collections::BTreeMap;

use crate::device::edit::{Difference, Plan, Write};
use crate::device::http::{Trouble, local_time};
use crate::device::xml::Element;
use crate::error::ErrorCode;
use crate::model::answer::ClockReading;
use crate::model::ask::Ask;
use crate::model::order::{NOW, settings_at};

use super::flat::{self, version_of};

/// A clock this close to the agent's is right; its readings have a grain of a second.
const CLOCK_MAX_MS: u64 = 2_000;
/// The word for devices that ask a time server.
const NTP: &str = "NTP";

/// Plans an edit of one document. `clock` is the reading with its drift, for clocks, and the agent's
/// time of day in milliseconds.
///
/// # Errors
///
/// `device.bad_answer`; `change.invalid` for what this device cannot be set to.
pub fn plan(
    ask: Ask,
    root: &Element,
    channel: Option<u32>,
    settings: &BTreeMap<String, String>,
    clock: Option<(&ClockReading, i64)>,
) -> Result<Plan, Trouble> {
    let here = settings_at(settings, channel);
    let settings = &here;
    if settings.keys().all(|name| name == "stream") {
        return Ok(Plan::default());
    }
    if ask == Ask::SetClock {
        set_clock(root, settings, clock)
    } else if ask == Ask::SetImage {
        set_image(root, channel, settings)
    } else if ask == Ask::SetStreams {
        set_streams(root, channel, settings)
    } else if ask == Ask::SetOsd {
        set_osd(root, channel, settings)
    } else {
        let text = "the web API cannot change this";
        Err(Trouble::new(ErrorCode::UnsupportedVariant, text, None))
    }
}

fn invalid(text: &str) -> Trouble {
    Trouble::new(ErrorCode::ChangeInvalid, text, None)
}

fn set_clock(
    root: &Element,
    settings: &BTreeMap<String, String>,
    clock: Option<(&ClockReading, i64)>,
) -> Result<Plan, Trouble> {
    let Some((reading, now_ms)) = clock else {
        return Err(Trouble::shape("time"));
    };
    let named = |name: &str| settings.get(name).map(String::as_str);
    let zone = named("time_zone").or(reading.time_zone.as_deref());
    let sync = named("sync").or(reading.sync.as_deref()).unwrap_or(NTP);
    let mut found = Vec::new();
    let mut local = None;
    for (name, value) in settings {
        let old = match name.as_str() {
            "time_zone" => reading.time_zone.clone(),
            "sync" => reading.sync.clone(),
            "ntp_server" => reading.ntp_server.clone(),
            "ntp_interval_min" => reading.ntp_interval_min.map(|minutes| minutes.to_string()),
            _ if value == NOW => {
                if sync == NTP {
                    let text = "the device asks a time server; set sync=manually with the time";
                    return Err(invalid(text));
                }
                let text = zone
                    .and_then(|zone| local_time(zone, now_ms))
                    .ok_or_else(|| invalid("the device's time zone cannot be understood"))?;
                let off = reading.drift_ms.map(i64::unsigned_abs);
                let error = reading.drift_error_ms.unwrap_or(0);
                let moved = named("time_zone")
                    .is_some_and(|zone| reading.time_zone.as_deref() != Some(zone));
                let mut one = Difference::new(None, name, reading.local_time.as_deref(), &text);
                one.differs =
                    moved || off.is_none_or(|off| off > CLOCK_MAX_MS.saturating_add(error));
                found.push(one);
                local = Some(text);
                continue;
            }
            _ => None,
        };
        found.push(Difference::new(None, name, old.as_deref(), value));
    }
    let time = flat::answer(root, "time")?;
    // Version 1 devices want their fields of daylight saving back.
    let mut zone_info = time
        .child("timezoneInfo")
        .map_or_else(|| Element::new("timezoneInfo"), Element::without_attributes);
    if let Some(zone) = zone {
        zone_info.set_text(&["timeZone"], zone);
    }
    let mut info = Element::new("synchronizeInfo").with(Element::leaf("type", sync));
    if sync == NTP {
        let interval = reading.ntp_interval_min.map(|minutes| minutes.to_string());
        let server = named("ntp_server").or(reading.ntp_server.as_deref());
        let interval = named("ntp_interval_min").or(interval.as_deref());
        for (name, value) in [("ntpServer", server), ("ntpSyncInterval", interval)] {
            info = info.with_all(value.map(|value| Element::leaf(name, value)));
        }
    }
    let info = info.with_all(local.map(|local| Element::leaf("currentTime", local)));
    let body = Element::new("time").with(zone_info).with(info);
    Ok(Plan::new(found, |_| Write {
        command: "SetDateAndTime",
        channel: None,
        parts: vec![flat::config(&version_of(root), body)],
    }))
}

/// Where a setting stands in a document.
fn path(ask: Ask, name: &str, at: &Element) -> &'static [&'static str] {
    match (ask, name) {
        (Ask::SetImage, "bright") => &["bright"],
        (Ask::SetImage, "contrast") => &["contrast"],
        (Ask::SetImage, "saturation") => &["saturation"],
        (Ask::SetImage, "hue") => &["hue"],
        (Ask::SetImage, "sharpen") if at.at(&["sharpen", "value"]).is_some() => {
            &["sharpen", "value"]
        }
        (Ask::SetImage, "sharpen") => &["sharpen"],
        (Ask::SetImage, "mirror") => &["mirrorSwitch"],
        (Ask::SetImage, "flip") => &["flipSwitch"],
        (Ask::SetImage, "ir_cut") => &["IRCutMode"],
        (Ask::SetImage, "white_balance") => &["whiteBalance", "mode"],
        (Ask::SetImage, "wdr") => &["WDR", "switch"],
        (Ask::SetImage, "backlight") => &["backlightCompensation", "mode"],
        (Ask::SetStreams, "resolution") => &["resolution"],
        (Ask::SetStreams, "frame_rate") => &["frameRate"],
        (Ask::SetStreams, "bitrate_type") => &["bitRateType"],
        (Ask::SetStreams, "max_bitrate_kbps") => &["maxBitRate"],
        (Ask::SetStreams, "codec") => &["encodeType"],
        (Ask::SetStreams, "quality") => &["quality"],
        (Ask::SetStreams, "gop") => &["GOP"],
        (Ask::SetOsd, "time_on") => &["time", "switch"],
        (Ask::SetOsd, "date_format") => &["time", "dateFormat"],
        (Ask::SetOsd, "name_on") => &["channelName", "switch"],
        (Ask::SetOsd, "name") => &["channelName", "name"],
        _ => &[],
    }
}

/// The settings of an element, which must have each of them.
fn differences(
    ask: Ask,
    at: &Element,
    channel: Option<u32>,
    settings: &BTreeMap<String, String>,
) -> Result<Vec<Difference>, Trouble> {
    let values = settings.iter().filter(|(name, _)| *name != "stream");
    values
        .map(|(name, value)| {
            let place = path(ask, name, at);
            let old = at.text_at(place).filter(|_| !place.is_empty());
            let Some(old) = old else {
                return Err(invalid(&format!("this device has no setting {name}")));
            };
            Ok(Difference::new(channel, name, Some(old), value))
        })
        .collect()
}

fn apply(ask: Ask, onto: &mut Element, at: &Element, differences: &[Difference]) {
    for one in differences.iter().filter(|one| one.differs) {
        let name = one.change.setting.as_deref().unwrap_or_default();
        let value = one.change.new.as_deref().unwrap_or_default();
        onto.set_text(path(ask, name, at), value);
    }
}

fn set_image(
    root: &Element,
    channel: Option<u32>,
    settings: &BTreeMap<String, String>,
) -> Result<Plan, Trouble> {
    let image = flat::answer(root, "image")?;
    let found = differences(Ask::SetImage, image, channel, settings)?;
    let mut body = Element::new("image");
    apply(Ask::SetImage, &mut body, image, &found);
    Ok(Plan::new(found, |_| Write {
        command: "SetImageConfig",
        channel,
        parts: vec![flat::config(&version_of(root), body)],
    }))
}

fn set_streams(
    root: &Element,
    channel: Option<u32>,
    settings: &BTreeMap<String, String>,
) -> Result<Plan, Trouble> {
    let list = flat::answer(root, "streams")?;
    // Their order can be relied on; their numbers begin at 0 or 1.
    let wanted: usize = settings
        .get("stream")
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    let place = wanted.saturating_sub(1);
    let item = list.all("item").nth(place).ok_or_else(|| {
        invalid(&format!(
            "channel {} has no stream {wanted}",
            channel.unwrap_or(0)
        ))
    })?;
    let found = differences(Ask::SetStreams, item, channel, settings)?;
    let body = if !version_of(root).starts_with('1') {
        let mut part = Element::new("item");
        if let Some(id) = item.attribute("id") {
            part.set_attribute("id", id);
        }
        apply(Ask::SetStreams, &mut part, item, &found);
        Element::new("streams").with(part)
    } else {
        let items = list.all("item").enumerate().map(|(at, item)| {
            let mut whole = item.without_attributes();
            if at == place {
                apply(Ask::SetStreams, &mut whole, item, &found);
            }
            whole
        });
        Element::new("streams").with_all(items)
    };
    Ok(Plan::new(found, |_| Write {
        command: "SetVideoStreamConfig",
        channel,
        parts: vec![flat::config(&version_of(root), body)],
    }))
}

fn set_osd(
    root: &Element,
    channel: Option<u32>,
    settings: &BTreeMap<String, String>,
) -> Result<Plan, Trouble> {
    let osd = flat::answer(root, "imageOsd")?;
    let found = differences(Ask::SetOsd, osd, channel, settings)?;
    let mut body = osd.without_attributes();
    apply(Ask::SetOsd, &mut body, osd, &found);
    Ok(Plan::new(found, |_| Write {
        command: "SetImageOsdConfig",
        channel,
        parts: vec![flat::config(&version_of(root), body)],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::xml::Document;

    fn root(version: &str, content: &str) -> Element {
        let text = format!("<config version=\"{version}\">{content}</config>");
        Document::read(text.as_bytes()).unwrap().root
    }

    fn settings(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = list
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        owned.collect()
    }

    fn sent(plan: &Plan) -> String {
        let write = plan.write.as_ref().unwrap();
        write.parts[0].children()[0].to_document().to_string()
    }

    #[test]
    fn parts_that_are_not_named_stay() {
        let one = root(
            "1.7",
            "<imageOsd><time><switch>true</switch><X>5</X></time>\
            <channelName><switch type=\"boolean\">TRUE</switch><X>9</X><name>A&amp;B</name></channelName></imageOsd>",
        );
        let wanted = settings(&[("name", "Gate"), ("name_on", "true")]);
        let plan = plan(Ask::SetOsd, &one, Some(1), &wanted, None).unwrap();
        assert_eq!(
            plan.settings
                .iter()
                .map(|one| one.differs)
                .collect::<Vec<_>>(),
            [true, false]
        );
        assert!(sent(&plan).ends_with(
            "<imageOsd><time><switch>true</switch><X>5</X></time>\
            <channelName><switch>TRUE</switch><X>9</X><name>Gate</name></channelName></imageOsd>"
        ));
    }

    #[test]
    fn version_1_streams_are_sent_whole_and_version_2_streams_in_part() {
        let content = "<streams><item id=\"0\"><frameRate max=\"30\">25</frameRate><GOP>50</GOP></item>\
            <item id=\"1\"><frameRate>25</frameRate><GOP>50</GOP></item></streams>";
        let wanted = settings(&[("stream", "2"), ("frame_rate", "12")]);
        let first = plan(
            Ask::SetStreams,
            &root("1.7", content),
            Some(3),
            &wanted,
            None,
        )
        .unwrap();
        assert!(sent(&first).ends_with(
            "<streams><item><frameRate>25</frameRate><GOP>50</GOP></item>\
            <item><frameRate>12</frameRate><GOP>50</GOP></item></streams>"
        ));
        let second = plan(
            Ask::SetStreams,
            &root("2.0.0", content),
            Some(3),
            &wanted,
            None,
        )
        .unwrap();
        assert!(
            sent(&second)
                .ends_with("<streams><item id=\"1\"><frameRate>12</frameRate></item></streams>")
        );
        let third = settings(&[("stream", "3"), ("gop", "1")]);
        let refused = plan(
            Ask::SetStreams,
            &root("2.0.0", content),
            Some(3),
            &third,
            None,
        );
        assert_eq!(refused.unwrap_err().code, ErrorCode::ChangeInvalid);
    }

    #[test]
    fn what_is_so_already_is_not_sent_and_what_is_not_there_is_refused() {
        let image = root("2.0.0", "<image><bright>07</bright></image>");
        let same = plan(
            Ask::SetImage,
            &image,
            Some(1),
            &settings(&[("bright", "7")]),
            None,
        )
        .unwrap();
        assert!(same.write.is_none() && !same.settings[0].differs);
        let wdr = plan(
            Ask::SetImage,
            &image,
            Some(1),
            &settings(&[("wdr", "true")]),
            None,
        );
        assert_eq!(wdr.unwrap_err().code, ErrorCode::ChangeInvalid);
    }

    #[test]
    fn a_clock_that_asks_a_server_is_not_set_by_hand() {
        let time = root(
            "2.0.0",
            "<time><timezoneInfo><timeZone>CST-8</timeZone></timezoneInfo>\
            <synchronizeInfo><type>NTP</type></synchronizeInfo></time>",
        );
        let mut reading = flat::clock(&time).unwrap();
        let now = 1_736_908_200_000;
        let by = |list: &[(&str, &str)], reading: &ClockReading| {
            plan(
                Ask::SetClock,
                &time,
                None,
                &settings(list),
                Some((reading, now)),
            )
        };
        assert_eq!(
            by(&[("time", "now")], &reading).unwrap_err().code,
            ErrorCode::ChangeInvalid
        );
        let both = [("time", "now"), ("sync", "manually")];
        let set = by(&both, &reading).unwrap();
        assert!(
            sent(&set)
                .contains("<type>manually</type><currentTime>2025-01-15 10:30:00</currentTime>")
        );
        (reading.drift_ms, reading.sync) = (Some(900), Some("manually".into()));
        assert!(by(&both, &reading).unwrap().write.is_none(), "it is right");
    }
}
