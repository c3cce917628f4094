//! A device of a result file, its channels unread.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hash as _, Hasher as _};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::diff::identity::{Identity, Parts};
use crate::results::{DeviceInfo, lenient};

/// What tells a device apart and what is compared, as in
/// [`ResultRecord`](crate::results::ResultRecord), with the channels as the text of the file. When,
/// by which job and in which tries a device was asked is nothing of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Skimmed<'a> {
    #[serde(borrow, deserialize_with = "lenient::text")]
    site: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    hostname: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) nvr_ip: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    nvr_mac: Cow<'a, str>,
    #[serde(deserialize_with = "lenient::whole")]
    nvr_port: i64,
    #[serde(deserialize_with = "lenient::truth")]
    success: bool,
    #[serde(borrow, deserialize_with = "lenient::text")]
    device_name: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    device_model: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    serial_number: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    firmware: Cow<'a, str>,
    #[serde(deserialize_with = "lenient::whole")]
    total_channels: i64,
    #[serde(borrow)]
    cameras: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "lenient::optional_text")]
    error: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::object")]
    device_info: DeviceInfo<'a>,
    #[serde(borrow, deserialize_with = "lenient::optional_text")]
    device_id: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::optional_text")]
    error_code: Option<Cow<'a, str>>,
}

impl Skimmed<'_> {
    pub(super) fn identity(&self) -> Identity<'_> {
        Identity::from_parts(&Parts {
            device_id: self.device_id.as_deref(),
            serial_number: &self.serial_number,
            nvr_mac: &self.nvr_mac,
            device_info: &self.device_info,
            place: (&self.site, &self.nvr_ip, self.nvr_port),
        })
    }

    /// Of everything that a comparison looks at.
    pub(super) fn digest(&self, key: &impl BuildHasher) -> u64 {
        let mut hasher = key.build_hasher();
        let texts = [
            &self.site,
            &self.hostname,
            &self.nvr_ip,
            &self.nvr_mac,
            &self.device_name,
            &self.device_model,
            &self.serial_number,
            &self.firmware,
        ];
        texts.hash(&mut hasher);
        (self.nvr_port, self.total_channels, self.success).hash(&mut hasher);
        (&self.error, &self.error_code, &self.device_id).hash(&mut hasher);
        let info = &self.device_info;
        (&info.mac, &info.device_name, info.channel_count).hash(&mut hasher);
        self.cameras.map(RawValue::get).hash(&mut hasher);
        hasher.finish()
    }
}
