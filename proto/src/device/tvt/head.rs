//! The accepting reply to a head-variant login, which holds the channel list.

use super::failure::CodecError;
use super::field::{array_at, count, keep_trimmed, padded_text, u8_at, u16_at, u32_at};
use super::limits::CHANNELS;
use crate::model::channel::{Channel, ChannelLabel, ChannelStatus, StatusSource};

/// Bytes before the first channel record.
pub(super) const FIXED_LEN: usize = 184;
/// Bytes of a channel record.
const RECORD_LEN: usize = 20;

const SECOND_COUNT_AT: usize = 16;
const SERIAL_AT: usize = 140;
const SERIAL_LEN: usize = 32;
const COUNT_AT: usize = 176;
const MAX_AT: usize = 178;
const FLAGS_AT: usize = 180;
const RECORD_WORD_AT: usize = 16;

/// What a head-variant recorder says when it accepts a login.
///
/// Wire source: pytvt 0.5.1, whose code was tried on real recorders. Names, addresses, ports and
/// models of the cameras are not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadLogin {
    /// The serial number, trimmed; pytvt shows it as the device's name.
    pub serial: String,
    /// How many channels the recorder names.
    pub channel_count: u16,
    /// How many channels the recorder can have; 0 where it does not say.
    pub max_channels: u16,
    /// The channel count again, as a 32-bit number at offset 16.
    pub second_count: u32,
    /// Unknown bits.
    pub flags: u32,
    /// The records that are complete; fewer than `channel_count` in a short reply.
    pub channels: Vec<HeadChannel>,
}

/// A channel record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadChannel {
    /// The first 16 bytes. UNCERTAIN: likely the channel's GUID as the web API prints it.
    pub node: [u8; 16],
    /// The channel's number: the first word of `node`.
    pub number: u32,
    /// The last word. Its low byte is 1 for online by pytvt. UNCERTAIN: it may be the channel's type.
    pub word: u32,
}

impl HeadLogin {
    /// Reads the payload of a long reply.
    ///
    /// # Errors
    ///
    /// `device.truncated` for fewer than 184 bytes.
    pub fn parse(payload: &[u8]) -> Result<Self, CodecError> {
        Self::fields(payload).ok_or(CodecError::truncated(
            count(payload.len()),
            "the device accepted the login with fewer than 184 bytes",
        ))
    }

    fn fields(payload: &[u8]) -> Option<Self> {
        let records = payload.get(FIXED_LEN..)?;
        let channel_count = u16_at(payload, COUNT_AT)?;
        Some(Self {
            serial: keep_trimmed(&padded_text(
                payload.get(SERIAL_AT..SERIAL_AT + SERIAL_LEN)?,
            )),
            channel_count,
            max_channels: u16_at(payload, MAX_AT)?,
            second_count: u32_at(payload, SECOND_COUNT_AT)?,
            flags: u32_at(payload, FLAGS_AT)?,
            channels: records
                .chunks_exact(RECORD_LEN)
                .take(channel_count.min(CHANNELS).into())
                .filter_map(HeadChannel::parse)
                .collect(),
        })
    }

    /// Whether the counts are ones that a recorder would send: what tells the login reply from
    /// other long frames, as its command id is not known.
    #[must_use]
    pub const fn is_plausible(&self) -> bool {
        self.channel_count <= CHANNELS
            && (self.channel_count <= self.max_channels || self.max_channels == 0)
    }

    /// Whether records are missing.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.channels.len() < self.channel_count.into()
    }
}

impl HeadChannel {
    fn parse(record: &[u8]) -> Option<Self> {
        Some(Self {
            node: array_at(record, 0)?,
            number: u32_at(record, 0)?,
            word: u32_at(record, RECORD_WORD_AT)?,
        })
    }

    /// The channel as a channel list would have it.
    #[must_use]
    pub fn to_channel(self) -> Channel {
        let online = u8_at(&self.word.to_le_bytes(), 0) == Some(1);
        Channel {
            label: ChannelLabel::Number(self.number.into()),
            name: format!("Channel {}", self.number),
            address: String::new(),
            port: 0,
            status: if online {
                ChannelStatus::Online
            } else {
                ChannelStatus::Offline
            },
            status_source: StatusSource::LoginRecord,
            protocol: String::new(),
            model: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(count: u16, max: u16, records: usize) -> Vec<u8> {
        let mut payload = vec![0; FIXED_LEN + records * RECORD_LEN];
        payload[COUNT_AT..COUNT_AT + 2].copy_from_slice(&count.to_le_bytes());
        payload[MAX_AT..MAX_AT + 2].copy_from_slice(&max.to_le_bytes());
        payload
    }

    #[test]
    fn counts_are_never_trusted() {
        let rows = [
            (4, 32, 4, 4, true),
            (8, 32, 2, 2, true),
            (4, 0, 4, 4, true),
            (33, 32, 33, 33, false),
            (65_535, 0, 600, 512, false),
            (512, 512, 600, 512, true),
        ];
        for (count, max, records, expected, plausible) in rows {
            let login = HeadLogin::parse(&payload(count, max, records)).unwrap();
            assert_eq!(
                login.channels.len(),
                expected,
                "{count} of {max}, {records} records"
            );
            assert_eq!(login.is_plausible(), plausible, "{count} of {max}");
        }
    }
}
