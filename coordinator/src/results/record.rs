//! The record types.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use tvtfleet_proto::error::{ErrorCode, ErrorKind};

use super::lenient;

/// One device of a scan result.
///
/// The fields are written in this order. Up to `device_info` they are pytvt 0.5.1's, always all of
/// them; those after it are tvtfleet's. Text borrows from the file or the rows where it can.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResultRecord<'a> {
    /// The operator's name of the place; may be empty.
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub site: Cow<'a, str>,
    /// The operator's name of the device; may be empty.
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub hostname: Cow<'a, str>,
    /// The address or host name that was asked.
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub nvr_ip: Cow<'a, str>,
    /// The Ethernet address as the inventory wrote it.
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub nvr_mac: Cow<'a, str>,
    /// The TCP port that was used; 0 where the file does not say.
    #[serde(deserialize_with = "lenient::whole")]
    pub nvr_port: i64,
    /// Whether the device was asked with success.
    #[serde(deserialize_with = "lenient::truth")]
    pub success: bool,
    /// The name configured on the device.
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub device_name: Cow<'a, str>,
    /// The model.
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub device_model: Cow<'a, str>,
    /// The serial number.
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub serial_number: Cow<'a, str>,
    /// The firmware version.
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub firmware: Cow<'a, str>,
    /// How many channels the device has or may have; 0 where unknown.
    #[serde(deserialize_with = "lenient::whole")]
    pub total_channels: i64,
    /// All channels, also those without an address.
    #[serde(borrow, deserialize_with = "lenient::list")]
    pub cameras: Vec<CameraRecord<'a>>,
    /// What went wrong, for people. May stand beside `success`.
    #[serde(borrow, deserialize_with = "lenient::optional_text")]
    pub error: Option<Cow<'a, str>>,
    /// The backend that answered.
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub backend: Cow<'a, str>,
    /// What the device said at login.
    #[serde(borrow, deserialize_with = "lenient::object")]
    pub device_info: DeviceInfo<'a>,

    /// The lasting name of the device, as `sn:…`, `mac:…` or `at:…`.
    #[serde(borrow, deserialize_with = "lenient::optional_text")]
    pub device_id: Option<Cow<'a, str>>,
    /// The code of the failure, else of the first warning.
    #[serde(borrow, deserialize_with = "lenient::optional_text")]
    pub error_code: Option<Cow<'a, str>>,
    /// The codes of all warnings, most important first.
    #[serde(borrow, deserialize_with = "lenient::texts")]
    pub warnings: Vec<Cow<'a, str>>,
    /// Every try, in order.
    #[serde(borrow, deserialize_with = "lenient::list")]
    pub attempts: Vec<AttemptRecord<'a>>,
    /// When the last answer came, RFC 3339 in UTC.
    #[serde(borrow, deserialize_with = "lenient::optional_text")]
    pub observed_at: Option<Cow<'a, str>>,
    /// The job that asked.
    #[serde(borrow, deserialize_with = "lenient::optional_text")]
    pub job_id: Option<Cow<'a, str>>,
}

/// One channel of a recorder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct CameraRecord<'a> {
    /// The recorder's name for the channel.
    #[serde(borrow)]
    pub channel: ChannelKey<'a>,
    /// The camera's name.
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub name: Cow<'a, str>,
    /// The camera's address; empty where the recorder does not say.
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub address: Cow<'a, str>,
    /// The camera's port; 0 where the recorder does not say.
    #[serde(deserialize_with = "lenient::whole")]
    pub port: i64,
    /// `Online`, `Offline`, `Unknown`, empty, or the device's own word.
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub status: Cow<'a, str>,
    /// The camera's maker or protocol.
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub protocol: Cow<'a, str>,
    /// The camera's model.
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub model: Cow<'a, str>,
    /// Where the status came from; absent in pytvt's files.
    #[serde(
        borrow,
        deserialize_with = "lenient::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub status_source: Option<Cow<'a, str>>,
}

/// How a recorder names a channel: a number or text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChannelKey<'a> {
    /// A whole number.
    Number(i64),
    /// Any other text.
    Text(Cow<'a, str>),
}

/// What a device said at login. Keys up to `cameras` are pytvt's, and so is which of them stand
/// for which family; the rest is tvtfleet's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceInfo<'a> {
    /// Standard family: the first word of the login reply.
    #[serde(
        deserialize_with = "lenient::optional_whole",
        skip_serializing_if = "Option::is_none"
    )]
    pub config_data_len: Option<i64>,
    /// Standard family: the version word, eight hexadecimal digits.
    #[serde(
        borrow,
        deserialize_with = "lenient::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub software_ver: Option<Cow<'a, str>>,
    /// Standard family: the build date word.
    #[serde(
        deserialize_with = "lenient::optional_whole",
        skip_serializing_if = "Option::is_none"
    )]
    pub build_date: Option<i64>,
    /// The Ethernet address that the device reports. pytvt gives it for the standard family only.
    #[serde(
        borrow,
        deserialize_with = "lenient::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub mac: Option<Cow<'a, str>>,
    /// The device's name; for the head family pytvt puts the serial number here.
    #[serde(
        borrow,
        deserialize_with = "lenient::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub device_name: Option<Cow<'a, str>>,
    /// Head family: how many channels the login reply listed.
    #[serde(
        deserialize_with = "lenient::optional_whole",
        skip_serializing_if = "Option::is_none"
    )]
    pub channel_count: Option<i64>,
    /// Head family: the channels once more, as pytvt repeats them. Not kept when a file is read.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub cameras: Option<Vec<CameraRecord<'a>>>,
    /// The device family.
    #[serde(
        borrow,
        deserialize_with = "lenient::optional_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub family: Option<Cow<'a, str>>,
    /// The protocol version of the greeting.
    #[serde(
        deserialize_with = "lenient::optional_whole",
        skip_serializing_if = "Option::is_none"
    )]
    pub protocol_version: Option<i64>,
}

/// One try of one backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttemptRecord<'a> {
    /// The backend used.
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub backend: Cow<'a, str>,
    /// How long it took, in milliseconds.
    #[serde(deserialize_with = "lenient::whole")]
    pub duration_ms: i64,
    /// How it failed; `None` where it worked.
    #[serde(borrow, deserialize_with = "lenient::optional_text")]
    pub code: Option<Cow<'a, str>>,
}

impl ResultRecord<'_> {
    /// The failure or first warning as a code of this program; `None` also for codes of a newer one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        self.error_code
            .as_deref()
            .and_then(|code| code.parse().ok())
    }

    /// The channels that have an address: those that pytvt shows.
    pub fn addressed(&self) -> impl Iterator<Item = &CameraRecord<'_>> {
        self.cameras.iter().filter(|camera| camera.has_address())
    }

    /// Whether the channel list is what the device has, rather than what could not be read.
    ///
    /// An empty list beside an error text or a warning of missing parts says nothing.
    #[must_use]
    pub fn channels_known(&self) -> bool {
        let partial = || {
            self.error.is_some()
                || self
                    .code()
                    .is_some_and(|code| code.kind() == ErrorKind::Partial)
        };
        self.success && !(self.cameras.is_empty() && partial())
    }

    /// The host name, else the address: how the device is called in lists.
    #[must_use]
    pub fn shown_name(&self) -> &str {
        if self.hostname.is_empty() {
            &self.nvr_ip
        } else {
            &self.hostname
        }
    }

    /// The same record without borrows.
    #[must_use]
    pub fn into_owned(self) -> ResultRecord<'static> {
        ResultRecord {
            site: owned(self.site),
            hostname: owned(self.hostname),
            nvr_ip: owned(self.nvr_ip),
            nvr_mac: owned(self.nvr_mac),
            nvr_port: self.nvr_port,
            success: self.success,
            device_name: owned(self.device_name),
            device_model: owned(self.device_model),
            serial_number: owned(self.serial_number),
            firmware: owned(self.firmware),
            total_channels: self.total_channels,
            cameras: self
                .cameras
                .into_iter()
                .map(CameraRecord::into_owned)
                .collect(),
            error: self.error.map(owned),
            backend: owned(self.backend),
            device_info: self.device_info.into_owned(),
            device_id: self.device_id.map(owned),
            error_code: self.error_code.map(owned),
            warnings: self.warnings.into_iter().map(owned).collect(),
            attempts: self
                .attempts
                .into_iter()
                .map(AttemptRecord::into_owned)
                .collect(),
            observed_at: self.observed_at.map(owned),
            job_id: self.job_id.map(owned),
        }
    }
}

impl CameraRecord<'_> {
    /// Whether the recorder named an address for the camera.
    #[must_use]
    pub fn has_address(&self) -> bool {
        !self.address.trim().is_empty()
    }

    fn into_owned(self) -> CameraRecord<'static> {
        CameraRecord {
            channel: match self.channel {
                ChannelKey::Number(number) => ChannelKey::Number(number),
                ChannelKey::Text(text) => ChannelKey::Text(owned(text)),
            },
            name: owned(self.name),
            address: owned(self.address),
            port: self.port,
            status: owned(self.status),
            protocol: owned(self.protocol),
            model: owned(self.model),
            status_source: self.status_source.map(owned),
        }
    }
}

impl DeviceInfo<'_> {
    fn into_owned(self) -> DeviceInfo<'static> {
        DeviceInfo {
            config_data_len: self.config_data_len,
            software_ver: self.software_ver.map(owned),
            build_date: self.build_date,
            mac: self.mac.map(owned),
            device_name: self.device_name.map(owned),
            channel_count: self.channel_count,
            cameras: self
                .cameras
                .map(|cameras| cameras.into_iter().map(CameraRecord::into_owned).collect()),
            family: self.family.map(owned),
            protocol_version: self.protocol_version,
        }
    }
}

impl AttemptRecord<'_> {
    fn into_owned(self) -> AttemptRecord<'static> {
        AttemptRecord {
            backend: owned(self.backend),
            duration_ms: self.duration_ms,
            code: self.code.map(owned),
        }
    }
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

impl Default for ChannelKey<'_> {
    fn default() -> Self {
        Self::Text(Cow::Borrowed(""))
    }
}

impl fmt::Display for ChannelKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => f.pad(&number.to_string()),
            Self::Text(text) => f.pad(text),
        }
    }
}

impl Serialize for ChannelKey<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}
