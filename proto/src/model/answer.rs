//! What devices answer to asks, one kind of record per ask.
//!
//! Every field may be missing: `None` is a device that did not say, an empty text one that said
//! nothing. The records are listed once, in `answer_records!`; the type, its columns for people and
//! programs, and its message follow from the list.

use serde_json::Value;

macro_rules! answer_records {
    ($apply:ident) => {
        $apply! {
            /// What a device says of itself.
            Info / info: DeviceInfo, DeviceInfoList {
                /// The name configured on the device.
                name: Option<String>,
                /// The model.
                model: Option<String>,
                /// The serial number.
                serial: Option<String>,
                /// The firmware version, as the device writes it.
                firmware: Option<String>,
                /// The build date; some recorders put a second version here.
                build_date: Option<String>,
                /// The hardware version.
                hardware: Option<String>,
                /// The kernel version.
                kernel: Option<String>,
                /// The Ethernet address, as the device writes it.
                mac: Option<String>,
                /// The maker's brand.
                brand: Option<String>,
                /// Free text; `IPCamera` on old cameras.
                description: Option<String>,
                /// `ipc` or `nvr`, concluded from the description and the number of channels.
                device_class: Option<String>,
                /// The most channels it may have.
                channels: Option<u32>,
                /// Alarm inputs.
                alarm_in: Option<u32>,
                /// Alarm outputs.
                alarm_out: Option<u32>,
                /// The version of the web API.
                api_version: Option<String>,
            }
            /// A disk or memory card.
            Disks / disks: Disk, DiskList {
                /// The device's name for it.
                id: Option<String>,
                /// Its size. Unit MB of 1024 KB presumed; UNCERTAIN on recorders' pages.
                total_mb: Option<u64>,
                /// What is free; 0 is normal where recordings are overwritten.
                free_mb: Option<u64>,
                /// What is free for pictures, cameras only.
                image_free_mb: Option<u64>,
                /// Its state, as the device says it.
                status: Option<String>,
                /// `HDD`, `SD` and the like.
                storage_type: Option<String>,
                /// Its model.
                model: Option<String>,
                /// Its serial number.
                serial: Option<String>,
                /// Its bay.
                slot: Option<String>,
            }
            /// A device's clock.
            Clock / clock: ClockReading, ClockReadingList {
                /// The wall clock, `YYYY-MM-DD HH:MM:SS`, without an offset.
                local_time: Option<String>,
                /// The zone as a POSIX text: `CET-1CEST,M3.5.0,M10.5.0/3` is east of Greenwich.
                time_zone: Option<String>,
                /// How it is set: `manually`, `NTP`, `PC`.
                sync: Option<String>,
                /// The time server.
                ntp_server: Option<String>,
                /// Minutes between two questions to it.
                ntp_interval_min: Option<u32>,
                /// Whether daylight saving is on; version 1 devices only.
                dst_switch: Option<u32>,
                /// `12h` or `24h`.
                hour_format: Option<String>,
                /// Device time less the agent's, in milliseconds; missing where the zone cannot be
                /// understood.
                drift_ms: Option<i64>,
                /// How wrong the drift may be: half the round trip and the clock's grain of a second.
                drift_error_ms: Option<u64>,
                /// Whether the hour is repeated in autumn, so that the drift may be off by it.
                ambiguous: Option<bool>,
            }
            /// A user of a recorder.
            Users / users: Account, AccountList {
                /// The recorder's name for it.
                id: Option<String>,
                /// The account's name.
                username: Option<String>,
                /// `default_admin` or `normal`.
                user_type: Option<String>,
                /// Whether it may log in.
                enabled: Option<bool>,
                /// The group.
                group: Option<String>,
                /// The address for a password reset.
                email: Option<String>,
                /// Whether it may log in from one computer only.
                bind_mac: Option<bool>,
                /// That computer.
                mac: Option<String>,
            }
            /// What a recorder asks of passwords.
            PasswordPolicy / password_policy: PasswordPolicy, PasswordPolicyList {
                /// The weakest level allowed.
                min_strength: Option<String>,
                /// Days until a password must be changed; 0 is never.
                expiration_days: Option<u32>,
                /// The levels to choose from.
                levels: Vec<String>,
            }
            /// The ports a device listens on.
            Ports / ports: Ports, PortsList {
                /// Web pages and web interfaces.
                http: Option<u32>,
                /// The same over TLS.
                https: Option<u32>,
                /// The binary protocol.
                server: Option<u32>,
                /// Video.
                rtsp: Option<u32>,
                /// Points of sale.
                pos: Option<u32>,
                /// Where cameras register by themselves.
                auto_report: Option<u32>,
                /// Long polling.
                long_polling: Option<u32>,
            }
            /// A service that can be switched.
            Services / services: Service, ServiceList {
                /// `rtsp` or `web-api`.
                service: Option<String>,
                /// Whether it is on.
                enabled: Option<bool>,
                /// Its port.
                port: Option<u32>,
                /// How users log in to it.
                auth_type: Option<String>,
                /// Whether nobody needs to.
                anonymous: Option<bool>,
            }
            /// A channel's picture settings, 0 to 100 where they are numbers.
            Image / image: ImageSettings, ImageSettingsList {
                /// The channel, from 1.
                channel: Option<u32>,
                /// Brightness.
                bright: Option<u32>,
                /// Contrast.
                contrast: Option<u32>,
                /// Saturation.
                saturation: Option<u32>,
                /// Hue.
                hue: Option<u32>,
                /// Sharpness.
                sharpen: Option<u32>,
                /// Mirrored.
                mirror: Option<bool>,
                /// Upside down.
                flip: Option<bool>,
                /// `auto`, `day`, `night` and others.
                ir_cut: Option<String>,
                /// `auto`, `indoor`, `outdoor`, `manual`.
                white_balance: Option<String>,
                /// Wide dynamic range.
                wdr: Option<bool>,
                /// Backlight compensation: `OFF`, `HWDR`, `HLC`, `BLC`.
                backlight: Option<String>,
            }
            /// A channel's encoded stream.
            Streams / streams: StreamSettings, StreamSettingsList {
                /// The channel, from 1.
                channel: Option<u32>,
                /// The device's number for it; some count from 0.
                id: Option<u32>,
                /// Its name; a live recorder puts its RTSP address here.
                name: Option<String>,
                /// Width and height, as `2560x1440`.
                resolution: Option<String>,
                /// Pictures a second.
                frame_rate: Option<u32>,
                /// `CBR` or `VBR`.
                bitrate_type: Option<String>,
                /// The highest bit rate, kbit/s.
                max_bitrate_kbps: Option<u32>,
                /// The codec, as the device says it.
                codec: Option<String>,
                /// `lowest` to `highest`, or a number.
                quality: Option<String>,
                /// Pictures from one key frame to the next.
                gop: Option<u32>,
            }
            /// A channel's sound.
            Audio / audio: AudioSettings, AudioSettingsList {
                /// The channel, from 1.
                channel: Option<u32>,
                /// Whether it is recorded.
                enabled: Option<bool>,
                /// The codec.
                codec: Option<String>,
                /// Where it comes from.
                input: Option<String>,
                /// Where it goes.
                output: Option<String>,
                /// Samples a second.
                sample_rate: Option<u32>,
                /// Bit rate, as the device says it.
                bitrate: Option<u32>,
            }
            /// What stands in a channel's picture.
            Osd / osd: OsdSettings, OsdSettingsList {
                /// The channel, from 1.
                channel: Option<u32>,
                /// Whether the time is shown.
                time_on: Option<bool>,
                /// The order of its parts.
                date_format: Option<String>,
                /// Whether the name is shown.
                name_on: Option<bool>,
                /// The name.
                name: Option<String>,
            }
            /// Whether a channel's stream is being recorded.
            Recording / recording: RecordingState, RecordingStateList {
                /// The channel, from 1.
                channel: Option<u32>,
                /// Which stream.
                stream: Option<String>,
                /// `recording`, `not_recording`, `exception`, or the device's word.
                state: Option<String>,
                /// Why it is recorded.
                types: Vec<String>,
                /// Width and height.
                resolution: Option<String>,
                /// Pictures a second.
                frame_rate: Option<u32>,
                /// `CBR` or `VBR`.
                bitrate_type: Option<String>,
                /// The highest bit rate, kbit/s.
                max_bitrate_kbps: Option<u32>,
            }
            /// A day with recordings.
            RecordingDays / recording_days: RecordedDay, RecordedDayList {
                /// The channel, from 1.
                channel: Option<u32>,
                /// The day on the device's clock, `YYYY-MM-DD`.
                date: Option<String>,
            }
            /// An unbroken recording.
            Segments / segments: RecordedSegment, RecordedSegmentList {
                /// The channel, from 1.
                channel: Option<u32>,
                /// Its start on the device's clock.
                start: Option<String>,
                /// Its end, where the device says it.
                end: Option<String>,
                /// Its length.
                seconds: Option<u32>,
                /// Why it was recorded.
                record_type: Option<String>,
            }
            /// Where a channel's video is had, without a credential.
            RtspUrls / rtsp_urls: RtspUrl, RtspUrlList {
                /// The channel, from 1.
                channel: Option<u32>,
                /// `main` or `sub1`.
                stream: Option<String>,
                /// The address.
                url: Option<String>,
            }
            /// Where a recorder reports by itself.
            Platform / platform: PlatformAccess, PlatformAccessList {
                /// Whether it does.
                enabled: Option<bool>,
                /// To whom.
                server: Option<String>,
                /// At which port.
                port: Option<u32>,
                /// Under which name.
                report_id: Option<String>,
            }
            /// Whether the credential that a recorder keeps for a camera still works. The recorder is
            /// never asked for the credential.
            CameraLogins / camera_logins: CameraLogin, CameraLoginList {
                /// The channel, from 1.
                channel: Option<u32>,
                /// Its name.
                name: Option<String>,
                /// The camera's address.
                address: Option<String>,
                /// How the recorder talks to it.
                protocol: Option<String>,
                /// Whether the recorder is logged in to it, which proves the stored credential.
                online: Option<bool>,
            }
            /// A channel's motion detection.
            Motion / motion: MotionSettings, MotionSettingsList {
                /// The channel, from 1.
                channel: Option<u32>,
                /// Whether it is on.
                enabled: Option<bool>,
                /// How sensitive.
                sensitivity: Option<u32>,
                /// The highest sensitivity of this camera.
                sensitivity_max: Option<u32>,
                /// Seconds it holds.
                hold_seconds: Option<u32>,
                /// Whether cars count.
                cars: Option<bool>,
                /// Whether people count.
                people: Option<bool>,
                /// Rows of the mask, `1` where motion counts.
                mask: Vec<String>,
            }
            /// What became of the picture of one channel.
            Pictures / pictures: PictureTaken, PictureTakenList {
                /// The channel, from 1.
                channel: Option<u32>,
                /// Its name, where the recorder told it.
                name: Option<String>,
                /// `taken`, `offline` or `failed`.
                state: Option<String>,
                /// When it was taken, milliseconds since 1970.
                taken_at_ms: Option<i64>,
                /// The way it came.
                way: Option<String>,
                /// The stream it is of; missing for a still.
                stream: Option<String>,
                /// `jpeg`, `h264` or `h265`.
                format: Option<String>,
                /// Columns.
                width: Option<u32>,
                /// Rows.
                height: Option<u32>,
                /// Its size.
                bytes: Option<u64>,
                /// The SHA-256 of its bytes, as hexadecimal text.
                sha256: Option<String>,
                /// What the site holds doubtful about it.
                flags: Vec<String>,
                /// How it looked, where it could be decoded.
                look: Option<String>,
                /// Why there is none.
                error_code: Option<String>,
                /// The same in words.
                error: Option<String>,
            }
            /// What became of one setting that was to be changed.
            Changes / changes: DeviceChange, DeviceChangeList {
                /// The channel, from 1; missing where the setting is the device's.
                channel: Option<u32>,
                /// The setting.
                setting: Option<String>,
                /// What the device said before.
                old: Option<String>,
                /// What it is to be.
                new: Option<String>,
                /// `changed`, `unchanged`, `would_change`, `failed`, `not_tried` or `unknown`.
                outcome: Option<String>,
            }
        }
    };
}
pub(crate) use answer_records;

macro_rules! define {
    ($( $(#[doc = $doc:literal])+ $variant:ident / $column:ident: $record:ident, $list:ident {
        $( $(#[doc = $field_doc:literal])+ $field:ident: $kind:ty, )+
    } )+) => {
        /// What a device answered to an ask.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Answer {
            $( $(#[doc = $doc])+ $variant(Vec<$record>), )+
        }

        impl Answer {
            /// The names of the columns, in order.
            #[must_use]
            pub const fn columns(&self) -> &'static [&'static str] {
                match self { $( Self::$variant(_) => $record::COLUMNS, )+ }
            }

            /// Adds the records of another answer of the same kind; one of another kind is dropped.
            pub fn append(&mut self, more: Self) {
                match (self, more) {
                    $( (Self::$variant(records), Self::$variant(more)) => records.extend(more), )+
                    _ => {}
                }
            }

            /// The records as rows of values, in the order of the columns.
            #[must_use]
            pub fn rows(&self) -> Vec<Vec<Value>> {
                match self { $( Self::$variant(records) => records.iter().map($record::cells).collect(), )+ }
            }
        }

        $(
            $(#[doc = $doc])+
            #[derive(Clone, Debug, Default, PartialEq, Eq)]
            pub struct $record {
                $( $(#[doc = $field_doc])+ pub $field: $kind, )+
            }

            impl $record {
                /// The names of the fields, in order.
                pub const COLUMNS: &'static [&'static str] = &[$( stringify!($field), )+];

                /// The fields as values; `null` is missing.
                #[must_use]
                pub fn cells(&self) -> Vec<Value> {
                    vec![$( Value::from(self.$field.clone()), )+]
                }
            }
        )+
    };
}
answer_records!(define);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_a_value_for_every_column() {
        let answer = Answer::Disks(vec![Disk {
            id: Some("disk1".into()),
            free_mb: Some(0),
            ..Disk::default()
        }]);
        let rows = answer.rows();
        assert_eq!(rows[0].len(), answer.columns().len());
        assert_eq!(
            (&rows[0][0], &rows[0][2], &rows[0][1]),
            (&"disk1".into(), &0.into(), &Value::Null)
        );
    }
}
