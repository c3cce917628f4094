//! Replies to a standard login.

use jiff::civil::Date;

use super::failure::CodecError;
use super::field::{array_at, count, padded_text, u8_at, u32_at};
use crate::error::ErrorCode;
use crate::model::mac::MacAddr;

/// The shortest reply that pytvt accepts; the device's name may be cut in it.
const SHORTEST: usize = 80;

const SOFTWARE_VERSION_AT: usize = 44;
const BUILD_DATE_AT: usize = 48;
const MAC_AT: usize = 52;
const NAME_AT: usize = 58;
const NAME_LEN: usize = 34;

/// What a standard device says when it accepts a login: 200 bytes are known, older devices send
/// less. Fields that a short reply does not reach are `None`.
///
/// Wire source: the public dissector (names in brackets), pytvt 0.5.1. There is no model, serial
/// number or channel count in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandardLogin {
    /// `ConfigDataLen` bytes of the configuration.
    pub config_data_len: u32,
    /// `PTZPresetNum`.
    pub ptz_presets: u32,
    /// `PTZCruiseNum`.
    pub ptz_cruises: u32,
    /// `PTZPresetNumForCruise`.
    pub ptz_presets_per_cruise: u32,
    /// `PresetNameMaxLen` in bytes.
    pub preset_name_len: u32,
    /// `CruiseNameMaxLen` in bytes.
    pub cruise_name_len: u32,
    /// `bSupportPTZ`.
    pub ptz: u8,
    /// `videoFormat`: 0 PAL, 1 NTSC.
    pub video_format: u8,
    /// `sensorInNum`: alarm inputs.
    pub sensor_inputs: u8,
    /// `alarmOutNum`: alarm outputs.
    pub alarm_outputs: u8,
    /// `ucStreamCount`: video streams.
    pub streams: u8,
    /// `bSupportSnap`: pictures on the SD card.
    pub snapshots: u8,
    /// `ucLiveAudioStream`.
    pub live_audio_streams: u8,
    /// `ucTalkAudioStream`.
    pub talk_audio_streams: u8,
    /// `audioEncodeType`.
    pub audio_codec: u8,
    /// `audioBitWidth`.
    pub audio_bits: u8,
    /// `audioChannel`.
    pub audio_channels: u8,
    /// `dwAudioSample` in Hz.
    pub audio_sample_rate: u32,
    /// `UserRight`: a mask of rights, or a level.
    pub user_rights: u32,
    /// `softwareVer` in wire order. UNCERTAIN which end is the major number.
    pub software_version: [u8; 4],
    /// `buildDate` as sent; see [`Self::built`].
    pub build_date: u32,
    /// `mac`.
    pub mac: MacAddr,
    /// `deviceName` as sent, white space included; see [`Self::name`].
    pub device_name: String,
    /// `nCustomerID`: who sells the device; 0 is neutral.
    pub customer_id: Option<u32>,
    /// `defBrightness`.
    pub default_brightness: Option<u8>,
    /// `defContrast`.
    pub default_contrast: Option<u8>,
    /// `defHue`.
    pub default_hue: Option<u8>,
    /// `defSaturation`.
    pub default_saturation: Option<u8>,
    /// `noSupportPTZ`.
    pub no_ptz: Option<u8>,
    /// `speedDomePTZ`.
    pub speed_dome: Option<u8>,
    /// `framerate`.
    pub frame_rate: Option<u8>,
    /// `bSupportSetSubStream`.
    pub set_sub_stream: Option<u8>,
    /// The unnamed bits at 104.
    pub bits_104: Option<u32>,
    /// `supportPassThroughApi`: not 0 if the device answers HTTP requests inside the session.
    pub pass_through_api: Option<u8>,
    /// `bSupportMultiChannel`.
    pub multi_channel: Option<u8>,
    /// `apiVersion`.
    pub api_version: Option<u32>,
    /// `binaryVersion`.
    pub binary_version: Option<u32>,
    /// The unnamed bits at 120.
    pub bits_120: Option<u32>,
}

impl StandardLogin {
    /// Reads the payload of an accepting reply; bytes behind the known ones are ignored.
    ///
    /// # Errors
    ///
    /// `device.truncated` for fewer than 80 bytes.
    pub fn parse(payload: &[u8]) -> Result<Self, CodecError> {
        let error = CodecError::truncated(
            count(payload.len()),
            "the device accepted the login with fewer than 80 bytes",
        );
        if payload.len() < SHORTEST {
            return Err(error);
        }
        Self::fields(payload).ok_or(error)
    }

    fn fields(payload: &[u8]) -> Option<Self> {
        let name = payload.get(NAME_AT..)?;
        Some(Self {
            config_data_len: u32_at(payload, 0)?,
            ptz_presets: u32_at(payload, 4)?,
            ptz_cruises: u32_at(payload, 8)?,
            ptz_presets_per_cruise: u32_at(payload, 12)?,
            preset_name_len: u32_at(payload, 16)?,
            cruise_name_len: u32_at(payload, 20)?,
            ptz: u8_at(payload, 24)?,
            video_format: u8_at(payload, 25)?,
            sensor_inputs: u8_at(payload, 26)?,
            alarm_outputs: u8_at(payload, 27)?,
            streams: u8_at(payload, 28)?,
            snapshots: u8_at(payload, 29)?,
            live_audio_streams: u8_at(payload, 31)?,
            talk_audio_streams: u8_at(payload, 32)?,
            audio_codec: u8_at(payload, 33)?,
            audio_bits: u8_at(payload, 34)?,
            audio_channels: u8_at(payload, 35)?,
            audio_sample_rate: u32_at(payload, 36)?,
            user_rights: u32_at(payload, 40)?,
            software_version: array_at(payload, SOFTWARE_VERSION_AT)?,
            build_date: u32_at(payload, BUILD_DATE_AT)?,
            mac: MacAddr::from(array_at::<6>(payload, MAC_AT)?),
            device_name: padded_text(name.get(..NAME_LEN).unwrap_or(name)),
            customer_id: u32_at(payload, 92),
            default_brightness: u8_at(payload, 96),
            default_contrast: u8_at(payload, 97),
            default_hue: u8_at(payload, 98),
            default_saturation: u8_at(payload, 99),
            no_ptz: u8_at(payload, 100),
            speed_dome: u8_at(payload, 101),
            frame_rate: u8_at(payload, 102),
            set_sub_stream: u8_at(payload, 103),
            bits_104: u32_at(payload, 104),
            pass_through_api: u8_at(payload, 108),
            multi_channel: u8_at(payload, 109),
            api_version: u32_at(payload, 112),
            binary_version: u32_at(payload, 116),
            bits_120: u32_at(payload, 120),
        })
    }

    /// The device's name without white space at both ends.
    #[must_use]
    pub fn name(&self) -> &str {
        self.device_name.trim()
    }

    /// The day the firmware was built: decimal `YYYYMMDD` if that is a date of 2000..2099, else year,
    /// month and day in 16, 8 and 8 bits as the vendor library has them, else `None`.
    #[must_use]
    pub fn built(&self) -> Option<Date> {
        decimal_date(self.build_date).or_else(|| packed_date(self.build_date))
    }
}

fn decimal_date(word: u32) -> Option<Date> {
    date(word / 10_000, word / 100 % 100, word % 100)
        .filter(|date| (2000..=2099).contains(&date.year()))
}

fn packed_date(word: u32) -> Option<Date> {
    let [year_high, year_low, month, day] = word.to_be_bytes();
    let year = u16::from_be_bytes([year_high, year_low]);
    date(year.into(), month.into(), day.into())
}

fn date(year: u32, month: u32, day: u32) -> Option<Date> {
    Date::new(
        year.try_into().ok()?,
        month.try_into().ok()?,
        day.try_into().ok()?,
    )
    .ok()
}

/// The code in the payload of a refused standard login; `None` for fewer than 4 bytes.
#[must_use]
pub fn login_failure_code(payload: &[u8]) -> Option<u32> {
    u32_at(payload, 0)
}

/// What the code of a refused standard login means. Codes of the vendor library
/// (`NET_SDK_GetLastError`) are another table.
///
/// No code is known for a locked account, so everything but [`ErrorCode::Busy`] may be a lock.
#[must_use]
pub const fn classify_login_failure(code: u32) -> ErrorCode {
    match code {
        // Version, not supported, client type.
        0x01 | 0x0A | 0x0E => ErrorCode::UnsupportedVariant,
        0x02 => ErrorCode::LoginRejected,
        0x03 => ErrorCode::Busy,
        // Refused, no authority, client's hardware address.
        0x04 | 0x05 | 0x0D => ErrorCode::RefusedByDevice,
        0x1E => ErrorCode::PasswordChangeRequired,
        _ => ErrorCode::LoginFailed,
    }
}

/// What the code of a refused head-variant login means.
///
/// UNCERTAIN: the layout of this payload is not known. A first word from 0x2000_0000 up is read as a code
/// of the recorders' web interface, where these are known: 0x2000_0023 no such user, 0x2000_0024 wrong
/// password, 0x2000_0026 account bound to another client, 0x2000_0027 account locked. A capture of a
/// locked recorder settles it. Everything else is a wrong password, and nothing is ever retried.
#[must_use]
pub const fn classify_head_login_failure(code: u32) -> ErrorCode {
    match code {
        0x2000_0026 => ErrorCode::RefusedByDevice,
        0x2000_0027 => ErrorCode::AccountLocked,
        _ => ErrorCode::LoginRejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_dates_come_in_two_forms() {
        let mut login = StandardLogin::parse(&[0; 80]).unwrap();
        let rows = [
            (20_230_510, Some((2023, 5, 10))),
            ((2024 << 16) + (2 << 8) + 29, Some((2024, 2, 29))),
            (20_231_310, None),
            (0, None),
            (u32::MAX, None),
        ];
        for (word, expected) in rows {
            login.build_date = word;
            let found = login.built().map(|d| (d.year(), d.month(), d.day()));
            assert_eq!(found, expected, "{word:#x}");
        }
    }

    #[test]
    fn every_length_gives_the_fields_it_has() {
        for length in 0..300 {
            let login = StandardLogin::parse(&vec![1; length]);
            assert_eq!(login.is_ok(), length >= 80, "{length} bytes");
            if let Ok(login) = login {
                assert_eq!(
                    login.pass_through_api.is_some(),
                    length >= 109,
                    "{length} bytes"
                );
                assert_eq!(login.customer_id.is_some(), length >= 96, "{length} bytes");
            }
        }
    }
}
