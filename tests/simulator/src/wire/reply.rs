//! Login replies of both variants.

use super::field::{put, put_text, wire_len};

/// Length of a standard success reply.
pub(crate) const STANDARD_REPLY_LEN: usize = 200;
/// Shortest long reply that a head-variant recorder is known to send.
pub(crate) const HEAD_REPLY_MIN: usize = 680;
/// Width of the device name in a standard reply.
const NAME_LEN: usize = 34;
/// Where the channel table of a head reply starts.
const TABLE: usize = 184;
/// Length of one channel record.
const RECORD: usize = 20;

/// The fields of a standard success reply, in wire order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StandardReply {
    pub(crate) config_data_len: u32,
    pub(crate) ptz_preset_num: u32,
    pub(crate) ptz_cruise_num: u32,
    pub(crate) ptz_presets_per_cruise: u32,
    pub(crate) preset_name_max: u32,
    pub(crate) cruise_name_max: u32,
    pub(crate) support_ptz: u8,
    /// 0 PAL, 1 NTSC.
    pub(crate) video_format: u8,
    pub(crate) sensor_inputs: u8,
    pub(crate) alarm_outputs: u8,
    pub(crate) stream_count: u8,
    pub(crate) support_snap: u8,
    pub(crate) live_audio: u8,
    pub(crate) talk_audio: u8,
    pub(crate) audio_encoding: u8,
    pub(crate) audio_bits: u8,
    pub(crate) audio_channels: u8,
    /// Samples per second.
    pub(crate) audio_rate: u32,
    pub(crate) user_right: u32,
    /// In wire order.
    pub(crate) software_ver: [u8; 4],
    /// Decimal YYYYMMDD.
    pub(crate) build_date: u32,
    pub(crate) mac: [u8; 6],
    /// UTF-8, cut at 34 bytes.
    pub(crate) device_name: Vec<u8>,
    pub(crate) customer_id: u32,
    /// Default brightness, contrast, hue and saturation.
    pub(crate) picture_defaults: [u8; 4],
    pub(crate) no_ptz: u8,
    pub(crate) speed_dome: u8,
    pub(crate) frame_rate: u8,
    pub(crate) set_sub_stream: u8,
    pub(crate) flags: u32,
    /// Not zero: the HTTP tunnel works.
    pub(crate) pass_through_api: u8,
    pub(crate) multi_channel: u8,
    pub(crate) api_version: u32,
    pub(crate) binary_version: u32,
    pub(crate) more_flags: u32,
}

impl StandardReply {
    /// Writes the 200 payload bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; STANDARD_REPLY_LEN];
        put(&mut bytes, 0, &self.config_data_len.to_le_bytes());
        put(&mut bytes, 4, &self.ptz_preset_num.to_le_bytes());
        put(&mut bytes, 8, &self.ptz_cruise_num.to_le_bytes());
        put(&mut bytes, 12, &self.ptz_presets_per_cruise.to_le_bytes());
        put(&mut bytes, 16, &self.preset_name_max.to_le_bytes());
        put(&mut bytes, 20, &self.cruise_name_max.to_le_bytes());
        put(&mut bytes, 24, &[self.support_ptz, self.video_format]);
        put(&mut bytes, 26, &[self.sensor_inputs, self.alarm_outputs]);
        put(&mut bytes, 28, &[self.stream_count, self.support_snap]);
        put(&mut bytes, 31, &[self.live_audio, self.talk_audio]);
        put(
            &mut bytes,
            33,
            &[self.audio_encoding, self.audio_bits, self.audio_channels],
        );
        put(&mut bytes, 36, &self.audio_rate.to_le_bytes());
        put(&mut bytes, 40, &self.user_right.to_le_bytes());
        put(&mut bytes, 44, &self.software_ver);
        put(&mut bytes, 48, &self.build_date.to_le_bytes());
        put(&mut bytes, 52, &self.mac);
        put_text(&mut bytes, 58, NAME_LEN, &self.device_name);
        put(&mut bytes, 92, &self.customer_id.to_le_bytes());
        put(&mut bytes, 96, &self.picture_defaults);
        put(&mut bytes, 100, &[self.no_ptz, self.speed_dome]);
        put(&mut bytes, 102, &[self.frame_rate, self.set_sub_stream]);
        put(&mut bytes, 104, &self.flags.to_le_bytes());
        put(
            &mut bytes,
            108,
            &[self.pass_through_api, self.multi_channel],
        );
        put(&mut bytes, 112, &self.api_version.to_le_bytes());
        put(&mut bytes, 116, &self.binary_version.to_le_bytes());
        put(&mut bytes, 120, &self.more_flags.to_le_bytes());
        bytes
    }
}

/// The fields of a head-variant success reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeadReply {
    /// Text, cut at 32 bytes.
    pub(crate) serial: Vec<u8>,
    /// Announced channel count; a fault may let it differ from the records.
    pub(crate) count: u16,
    pub(crate) max_channels: u16,
    pub(crate) flags: u32,
    pub(crate) records: Vec<HeadChannel>,
}

/// One channel record of a head-variant reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadChannel {
    pub(crate) number: u32,
    /// Low byte 1: online.
    pub(crate) status: u32,
}

impl HeadReply {
    /// Writes the payload: 184 bytes and the records.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; TABLE];
        put(&mut bytes, 16, &u32::from(self.count).to_le_bytes());
        put_text(&mut bytes, 140, 32, &self.serial);
        put(&mut bytes, 176, &self.count.to_le_bytes());
        put(&mut bytes, 178, &self.max_channels.to_le_bytes());
        put(&mut bytes, 180, &self.flags.to_le_bytes());
        bytes.reserve(self.records.len().saturating_mul(RECORD));
        for record in &self.records {
            bytes.extend(record.number.to_le_bytes());
            bytes.extend([0; 12]);
            bytes.extend(record.status.to_le_bytes());
        }
        bytes
    }
}

/// Writes the payload of a login failure of either variant.
pub(crate) fn failure(code: u32) -> Vec<u8> {
    code.to_le_bytes().to_vec()
}

/// Writes the payload of one pushed motion status: channel and bit mask.
pub(crate) fn motion_status(channel: usize) -> Vec<u8> {
    let mut bytes = wire_len(channel).to_le_bytes().to_vec();
    bytes.extend([0; 4]);
    bytes
}
