//! Devices and their channels, as users read and parse them.

use std::fmt::Write as _;

use serde::Serialize;
use tvtfleet_proto::model::api::DeviceView;
use tvtfleet_proto::model::channel::{Channel, ChannelLabel};
use tvtfleet_proto::model::picture::PictureView;
use tvtfleet_proto::model::time::UtcMillis;

use crate::error::Stop;
use crate::io::Io;
use crate::output::{self, Format, Row, SCHEMA};

/// A device in a list.
#[derive(Default, Serialize)]
pub(super) struct DeviceRow {
    device_id: String,
    site: String,
    site_display_name: String,
    site_label: String,
    host: String,
    port: Option<u16>,
    hostname: String,
    mac: String,
    manufacturer: String,
    credential: Option<String>,
    labels: Vec<String>,
    device_name: String,
    device_model: String,
    serial_number: String,
    firmware: String,
    channels: Option<u32>,
    first_known: String,
    last_report: Option<String>,
    last_success: Option<String>,
    last_failure: Option<String>,
    note: String,
    standings: Vec<&'static str>,
    last_seen: Option<String>,
    flags: Vec<&'static str>,
    source_addr: Option<String>,
}

impl From<&DeviceView> for DeviceRow {
    fn from(device: &DeviceView) -> Self {
        let reported = device.facts.mac.map(|mac| mac.to_string());
        let sighting = &device.sighting;
        let seen = sighting.seen.as_ref();
        Self {
            device_id: device.device_id.clone(),
            site: device.site.to_string(),
            site_display_name: device.site_display_name.clone(),
            site_label: device.entry.site_label.clone(),
            host: device.entry.host.to_string(),
            port: device.entry.port,
            hostname: device.entry.hostname.clone(),
            mac: reported.unwrap_or_else(|| device.entry.mac_text.clone()),
            manufacturer: device.entry.manufacturer.clone(),
            credential: device.entry.credential.as_ref().map(ToString::to_string),
            labels: device.labels.clone(),
            device_name: device.facts.name.clone(),
            device_model: device.facts.model.clone(),
            serial_number: device.facts.serial.clone(),
            firmware: device.facts.firmware.clone(),
            channels: device.channel_count,
            first_known: device.first_known.to_string(),
            last_report: device.last_report.map(|moment| moment.to_string()),
            last_success: device.last_success.map(|moment| moment.to_string()),
            last_failure: device.last_failure.map(|code| code.to_string()),
            note: device.note.clone(),
            standings: sighting
                .standings
                .iter()
                .map(|word| word.as_str())
                .collect(),
            last_seen: sighting.last_seen.map(|moment| moment.to_string()),
            flags: seen
                .map(|seen| seen.flags.iter().map(|flag| flag.as_str()).collect())
                .unwrap_or_default(),
            source_addr: seen.map(|seen| seen.source.to_string()),
        }
    }
}

impl DeviceRow {
    fn address(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    fn called(&self) -> &str {
        if self.hostname.is_empty() {
            &self.device_name
        } else {
            &self.hostname
        }
    }

    fn condition(&self) -> String {
        let report = match (&self.last_failure, &self.last_report) {
            (Some(code), _) => code,
            (None, Some(_)) => "ok",
            (None, None) => "not reported yet",
        };
        let mut words = vec![report];
        words.extend(&self.standings);
        words.extend(&self.flags);
        words.join(", ")
    }
}

impl Row for DeviceRow {
    const NOUN: &'static str = "devices";
    const HEADS: &'static [&'static str] = &[
        "SITE",
        "ADDRESS",
        "NAME",
        "MODEL",
        "FIRMWARE",
        "CHANNELS",
        "LAST REPORT",
        "STATE",
        "LABELS",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.site.clone(),
            self.address(),
            self.called().to_owned(),
            self.device_model.clone(),
            self.firmware.clone(),
            self.channels
                .map(|count| count.to_string())
                .unwrap_or_default(),
            self.last_report
                .clone()
                .unwrap_or_else(|| "never".to_owned()),
            self.condition(),
            self.labels.join(","),
        ]
    }
}

/// A channel of a device.
#[derive(Default, Serialize)]
struct ChannelRow {
    channel: ChannelText,
    name: String,
    address: String,
    port: u16,
    status: String,
    status_source: String,
    protocol: String,
    model: String,
}

/// A number where the recorder gave one, text elsewhere; as in result files.
#[derive(Serialize)]
#[serde(untagged)]
enum ChannelText {
    Number(i64),
    Text(String),
}

impl Default for ChannelText {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl From<&Channel> for ChannelRow {
    fn from(channel: &Channel) -> Self {
        Self {
            channel: match &channel.label {
                ChannelLabel::Number(number) => ChannelText::Number(*number),
                ChannelLabel::Text(text) => ChannelText::Text(text.clone()),
            },
            name: channel.name.clone(),
            address: channel.address.clone(),
            port: channel.port,
            status: channel.status.as_str().to_owned(),
            status_source: channel.status_source.as_str().to_owned(),
            protocol: channel.protocol.clone(),
            model: channel.model.clone(),
        }
    }
}

impl Row for ChannelRow {
    const NOUN: &'static str = "channels";
    const HEADS: &'static [&'static str] = &[
        "CHANNEL", "NAME", "ADDRESS", "PORT", "STATUS", "PROTOCOL", "MODEL",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            match &self.channel {
                ChannelText::Number(number) => number.to_string(),
                ChannelText::Text(text) => text.clone(),
            },
            self.name.clone(),
            self.address.clone(),
            if self.port == 0 {
                String::new()
            } else {
                self.port.to_string()
            },
            self.status.clone(),
            self.protocol.clone(),
            self.model.clone(),
        ]
    }
}

#[derive(Serialize)]
struct Document {
    schema: u32,
    device: DeviceRow,
    channels: Vec<ChannelRow>,
    pictures: Vec<PictureRow>,
}

/// The last picture of a channel.
#[derive(Serialize)]
struct PictureRow {
    picture: u64,
    channel: Option<u32>,
    name: String,
    time: String,
    way: String,
    width: u32,
    height: u32,
    flags: Vec<String>,
    sha256: String,
    job: Option<String>,
    stored: bool,
}

impl From<&PictureView> for PictureRow {
    fn from(view: &PictureView) -> Self {
        let picture = &view.picture;
        let time = picture.taken_at_ms.map(UtcMillis::new);
        Self {
            picture: view.id,
            channel: picture.channel,
            name: picture.name.clone().unwrap_or_default(),
            time: time.map(|time| time.to_string()).unwrap_or_default(),
            way: picture.way.clone().unwrap_or_default(),
            width: picture.width.unwrap_or(0),
            height: picture.height.unwrap_or(0),
            flags: picture.flags.clone(),
            sha256: picture.sha256.clone().unwrap_or_default(),
            job: view.job.map(|job| job.to_string()),
            stored: view.stored,
        }
    }
}

impl PictureRow {
    const HEADS: &'static [&'static str] =
        &["CHANNEL", "LAST PICTURE", "WAY", "SIZE", "FLAGS", "JOB"];

    fn cells(&self) -> Vec<String> {
        let time = if self.stored {
            self.time.clone()
        } else {
            format!("{} (on its way)", self.time)
        };
        vec![
            self.channel
                .map(|channel| channel.to_string())
                .unwrap_or_default(),
            time,
            self.way.clone(),
            format!("{}x{}", self.width, self.height),
            self.flags.join(" "),
            self.job.clone().unwrap_or_default(),
        ]
    }
}

/// Writes one device with its channels and their last pictures. CSV holds the channels only: one table a file.
pub(super) fn write(
    io: &mut Io,
    format: Format,
    view: &DeviceView,
    pictures: &[PictureView],
) -> Result<(), Stop> {
    let device = DeviceRow::from(view);
    let channels: Vec<ChannelRow> = view.channels.iter().map(ChannelRow::from).collect();
    let mut pictures: Vec<PictureRow> = pictures.iter().map(PictureRow::from).collect();
    pictures.sort_by_key(|picture| picture.channel);
    match format {
        Format::Table => {
            let mut text = describe(&device);
            if !channels.is_empty() {
                text.push('\n');
                text.push_str(&output::table(
                    ChannelRow::HEADS,
                    channels.iter().map(Row::cells),
                ));
            }
            if !pictures.is_empty() {
                text.push('\n');
                let rows = pictures.iter().map(PictureRow::cells);
                text.push_str(&output::table(PictureRow::HEADS, rows));
            }
            io.write_out(text.as_bytes())
        }
        Format::Json => output::json(
            io,
            &Document {
                schema: SCHEMA,
                device,
                channels,
                pictures,
            },
        ),
        Format::Csv => output::list(io, format, &channels),
    }
}

fn describe(device: &DeviceRow) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{label:<14}{}", output::printable(value));
        }
    };
    line("Device", &device.device_id);
    line("Site", &device.site);
    line("Site name", &device.site_display_name);
    line("Address", &device.address());
    line("Host name", &device.hostname);
    line("Name", &device.device_name);
    line("Model", &device.device_model);
    line("Serial", &device.serial_number);
    line("Firmware", &device.firmware);
    line("MAC", &device.mac);
    line(
        "Credential",
        device.credential.as_deref().unwrap_or_default(),
    );
    line("Labels", &device.labels.join(", "));
    line("Note", &device.note);
    line("State", &device.condition());
    line("First known", &device.first_known);
    line("Last seen", device.last_seen.as_deref().unwrap_or_default());
    line(
        "Last report",
        device.last_report.as_deref().unwrap_or_default(),
    );
    line(
        "Last success",
        device.last_success.as_deref().unwrap_or_default(),
    );
    text
}
