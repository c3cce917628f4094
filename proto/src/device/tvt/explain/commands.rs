//! What the vendor calls its commands.
//!
//! The names are those of the standard family, in the vendor's spelling without `CMD_`. In the head
//! variant only a handful of ids are known, and the others mean something else there. Groups of which
//! nothing is worth telling apart are named as a whole.

use super::super::command::CommandId;
use crate::model::report::DeviceFamily;

/// What is known of a command id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandName {
    /// The vendor's name, where it is one worth knowing.
    pub name: Option<&'static str>,
    /// What the group that it belongs to is about.
    pub group: &'static str,
    /// Whether it changes the device.
    pub changes: bool,
}

/// A run of ids: the names stand for `base` + 1, `base` + 2 and so on.
struct Group {
    base: u32,
    about: &'static str,
    /// Whether all of them change the device.
    changes: bool,
    names: &'static [&'static str],
}

const fn group(base: u32, about: &'static str, names: &'static [&'static str]) -> Group {
    Group {
        base,
        about,
        changes: false,
        names,
    }
}

const fn changing(base: u32, about: &'static str) -> Group {
    Group {
        base,
        about,
        changes: true,
        names: &[],
    }
}

const GROUPS: [Group; 34] = [
    group(
        0x0100,
        "login",
        &["REQUEST_LOGIN", "REQUEST_LOGOUT", "REQUEST_STREAM_BRIEF"],
    ),
    group(
        0x0200,
        "control",
        &[
            "REQUEST_STREAM_START",
            "REQUEST_STREAM_STOP",
            "REQUEST_KEYFRAME",
            "REQUEST_SHUTDOWN",
            "REQUEST_REBOOT",
            "REQUEST_CLIENT_INFO",
            "REQUEST_CHANGE_TIME",
            "REQUEST_SEARCH_WIFI",
            "REQUEST_DATA_TO_SERVER",
            "REQUEST_CHECK_WIFI",
            "REQUEST_NTP_IMMEDIATELY",
            "REQUEST_MAX_VIDEO_LEN",
            "REQUEST_TRANSPARENT_DATA",
            "REQUEST_JPEG_DATA",
            "REQUEST_MAC_ENCODE",
            "REQUEST_MAC_ENCODE_X",
            "REQUEST_MULTI_STREAM_INFO",
            "REQUEST_USE_QR_CODE",
        ],
    ),
    changing(0x0300, "picture settings"),
    group(
        0x0400,
        "configuration",
        &[
            "REQUEST_CFG_DEFAULT",
            "REQUEST_CFG_NET",
            "REQUEST_CFG_MAIL_TEST",
            "REQUEST_CFG_FTP_TEST",
            "REQUEST_CFG_ENTER",
            "REQUEST_CFG_LEAVE",
            "REQUEST_CFG_GET",
            "REQUEST_CFG_SET",
            "REQUEST_CFG_NET_V2",
            "REQUEST_CFG_ADD_IPHONE_TOKEN",
            "REQUEST_CFG_DEL_IPHONE_TOKEN",
            "REQUEST_CFG_SUPPORT_IPHONE_PUSH",
            "REQUEST_CFG_EXIST_IPHONE_TOKEN",
            "REQUEST_CFG_CUSTOMER_GET",
            "REQUEST_CHANNEL_CRRENT_VIDEO_ENCODE_INFO",
            "REQUEST_MODIFY_CHANNEL_VIDEO_ENCODE_INFO",
            "REQUEST_API_PROTOCOL",
        ],
    ),
    group(
        0x0500,
        "recordings and log",
        &[
            "REQUEST_DATA_SD_ALL_DATE",
            "REQUEST_DATA_SD_SEARCH_NAME",
            "REQUEST_DATA_SD_GET_PIC",
            "REQUEST_DISK_FORMAT",
            "REQUEST_DISK_POP_SDCARD",
            "REQUEST_LOGDATA",
        ],
    ),
    group(
        0x0600,
        "pan, tilt, zoom",
        &[
            "REQUEST_PTZ_START",
            "REQUEST_PTZ_MOVE",
            "REQUEST_PTZ_ADJUST",
            "REQUEST_PTZ_STOP",
            "REQUEST_PTZ_WRITECOMM",
            "REQUEST_PTZ_3DZOOM",
            "REQUEST_PTZ_POSITION",
        ],
    ),
    group(
        0x0700,
        "talk",
        &[
            "REQUEST_TALK_START",
            "REQUEST_TALK_STREAM",
            "REQUEST_TALK_STOP",
        ],
    ),
    changing(0x0800, "firmware update"),
    group(
        0x0900,
        "recording on the SD card",
        &["REQUEST_MANUAL_RECORD", "REQUEST_MANUAL_STOP"],
    ),
    changing(0x0A00, "firmware update"),
    group(
        0x0B00,
        "alarm outputs",
        &["REQUEST_ALARM_OUT_START", "REQUEST_ALARM_OUT_STOP"],
    ),
    changing(0x0D00, "factory settings"),
    changing(0x0E00, "calibration"),
    changing(0x0F00, "upload"),
    group(
        0x1000,
        "smart alarms",
        &[
            "REQUEST_GET_SMART_STATE",
            "REQUEST_SMART_SUBSCRIBE",
            "REQUEST_SMART_RENEW",
            "REQUEST_SMART_UNSUBSCRIBE",
        ],
    ),
    group(0x2000, "face album", &[]),
    group(
        0x0100_0100,
        "login",
        &["REPLY_LOGIN_SUCC", "REPLY_LOGIN_FAIL", "REPLY_STREAM_BRIEF"],
    ),
    group(
        0x0100_0200,
        "control",
        &[
            "REPLY_CLIENT_INFO",
            "REPLY_SEARCH_WIFI",
            "REPLY_DATA_TO_CLIENT",
            "REPLY_CHECK_WIFI",
            "REPLY_TRANSPARENT_DATA",
            "REPLY_JPEG_DATA",
            "REPLY_SET_FACTORY_CFG",
            "REPLY_SET_MAC_HARDVER",
            "REPLY_SET_SPECIAL_FAC",
            "REPLY_CUR_LIGHT_VALUE",
            "REPLY_Get_ENCRPY_STATUS",
            "REPLY_MAC_ENCODE_X",
            "REPLY_REQUEST_STREAM_START",
            "REPLY_MULTI_STREAM_INFO",
        ],
    ),
    group(0x0100_0300, "picture settings", &[]),
    group(
        0x0100_0400,
        "configuration",
        &[
            "REPLY_CFG_SUCC",
            "REPLY_CFG_FAIL",
            "REPLY_CFG_MAIL_TEST",
            "REPLY_CFG_FTP_TEST",
            "REPLY_CFG_DATA",
            "REPLY_CFG_DEFAULT",
            "REPLY_CFG_ADD_IPHONE_TOKEN",
            "REPLY_CFG_DEL_IPHONE_TOKEN",
            "REPLY_CFG_SUPPORT_IPHONE_PUSH",
            "REPLY_CFG_EXIST_IPHONE_TOKEN",
            "REPLY_CFG_CUSTOMER_REPLY",
            "REPLY_CHANNEL_CRRENT_VIDEO_ENCODE_INFO",
            "REPLY_MODIFY_CHANNEL_VIDEO_ENCODE_INFO_SUCC",
            "REPLY_MODIFY_CHANNEL_VIDEO_ENCODE_INFO_FAIL",
            "REPLY_API_PROTOCOL",
        ],
    ),
    group(
        0x0100_0500,
        "recordings and log",
        &[
            "REPLY_DATA_SD_ALL_DATE",
            "REPLY_DATA_SD_SEARCH_NAME",
            "REPLY_DATA_SD_GET_PIC",
            "REPLY_DISK_FAIL",
            "REPLY_FORMAT_FAIL",
            "REPLY_FORMAT_PERCENT",
            "REPLY_POP_SDCARD_SUCC",
            "REPLY_POP_SDCARD_FAIL",
            "REPLY_LOGDATA",
        ],
    ),
    group(
        0x0100_0600,
        "pan, tilt, zoom",
        &[
            "REPLY_PTZ_PRESET_INFO",
            "REPLY_PTZ_START_SUCC",
            "REPLY_PTZ_START_FAIL",
            "REPLY_PTZ_GET_POSITION",
        ],
    ),
    group(
        0x0100_0700,
        "talk",
        &["REPLY_TALK_START_SUCC", "REPLY_TALK_START_FAIL"],
    ),
    group(
        0x0100_0800,
        "firmware update",
        &["REPLY_SYSTEM_UPDATE_FAIL", "REPLY_SYSTEM_UPDATE_PERCENT"],
    ),
    group(
        0x0100_0900,
        "recording on the SD card",
        &[
            "REPLY_MANUAL_RECORD_SUCC",
            "REPLY_MANUAL_RECORD_FAIL",
            "REPLY_MANUAL_STOP_SUCC",
            "REPLY_MANUAL_STOP_FAIL",
        ],
    ),
    group(
        0x0100_0A00,
        "firmware update",
        &[
            "REPLY_CAN_UPDATE",
            "REPLY_NOT_UPDATE",
            "REPLY_UPDATE_FAIL",
            "REPLY_UPDATE_PERCENT",
        ],
    ),
    group(
        STATUS,
        "status",
        &[
            "REPLY_MOTION",
            "REPLY_SENSOR",
            "REPLY_CHNN_NAME",
            "REPLY_PTZ_PRESET_NAME",
            "REPLY_PTZ_CURISE_NAME",
            "REPLY_PTZ",
            "REPLY_SD_INFO",
        ],
    ),
    group(
        STREAM,
        "media",
        &[
            "REPLY_LIVE_STREAM",
            "REPLY_PLAY_STREAM",
            "REPLY_TALK_STREAM",
            "REPLY_STREAM_NULL",
        ],
    ),
    group(0x0100_0D00, "upload", &[]),
    group(0x0100_0E00, "calibration", &[]),
    group(ACCESS, "access control", &[]),
    group(
        SMART,
        "smart alarms",
        &[
            "REPLY_GET_SMART_STATE",
            "REPLY_SMART_SUBSCRIBE",
            "REPLY_SMART_RENEW",
            "REPLY_SMART_UNSUBSCRIBE",
            "REPLY_SMART_ALARM_MESSAGE",
        ],
    ),
    group(0x0100_2000, "face album", &[]),
    group(
        0x0101_0CFF,
        "HTTP inside the session",
        &["HTTP_REQUEST", "HTTP_REPLY"],
    ),
];

const STATUS: u32 = 0x0100_0B00;
const STREAM: u32 = 0x0100_0C00;
const ACCESS: u32 = 0x0100_0FA0;
const SMART: u32 = 0x0100_1000;
const SMART_ALARM: u32 = 0x0100_1005;
/// Ids of one group share all bytes but the lowest.
const GROUP_LEN: u32 = 0x100;

/// Commands that change the device in groups that do not all.
const CHANGES: [u32; 21] = [
    0x0204, 0x0205, 0x0207, 0x020B, 0x020F, 0x0210, 0x0401, 0x0402, 0x0403, 0x0404, 0x0408, 0x0409,
    0x040A, 0x040B, 0x0410, 0x0504, 0x0505, 0x0901, 0x0902, 0x0B01, 0x0B02,
];

/// What is known of a command id in a family; `None` for a number without a name.
///
/// Without a family only ids that mean the same everywhere are named: login, logout and the tunnel.
#[must_use]
pub fn command_name(command: CommandId, family: Option<DeviceFamily>) -> Option<CommandName> {
    let everywhere = |name, group| {
        Some(CommandName {
            name: Some(name),
            group,
            changes: false,
        })
    };
    match command {
        CommandId::HEAD_LOGIN => return everywhere("head-variant login", "login"),
        CommandId::LOGIN => return everywhere("REQUEST_LOGIN", "login"),
        CommandId::LOGOUT => return everywhere("REQUEST_LOGOUT", "login"),
        CommandId::TUNNEL_REQUEST => return everywhere("HTTP_REQUEST", "HTTP inside the session"),
        CommandId::TUNNEL_REPLY => return everywhere("HTTP_REPLY", "HTTP inside the session"),
        CommandId::V4_PACK => return everywhere("PACK", "DVR V4 family"),
        _ => {}
    }
    match family? {
        DeviceFamily::Head => match command {
            CommandId::HEAD_LOGIN_ACCEPTED => everywhere("head-variant login accepted", "login"),
            CommandId::HEAD_LOGIN_REFUSED => everywhere("head-variant login refused", "login"),
            CommandId::LOGIN_REFUSED => everywhere("REPLY_LOGIN_FAIL", "login"),
            _ => None,
        },
        DeviceFamily::Standard => standard_name(command.0),
    }
}

fn standard_name(id: u32) -> Option<CommandName> {
    let group = GROUPS
        .iter()
        .filter(|group| (group.base..group.base.saturating_add(GROUP_LEN)).contains(&id))
        .max_by_key(|group| group.base)?;
    let place = id.saturating_sub(group.base).checked_sub(1)?;
    Some(CommandName {
        name: group.names.get(usize::try_from(place).ok()?).copied(),
        group: group.about,
        changes: group.changes || CHANGES.contains(&id),
    })
}

/// Whether a device sends frames of this id without being asked.
pub(super) fn is_pushed_by_nature(command: CommandId) -> bool {
    let group = command.0 & !0xFF;
    group == STATUS
        || group == STREAM
        || command.0 == SMART_ALARM
        || (ACCESS..SMART).contains(&command.0)
}

/// The vendor's name for the code of a refused standard login.
#[must_use]
pub const fn login_failure_name(code: u32) -> Option<&'static str> {
    Some(match code {
        0x00 => "NETERR_SUCCESS",
        0x01 => "NETERR_LOGIN_FAIL_VERSION_ERR",
        0x02 => "NETERR_LOGIN_FAIL_USERPWD_ERR",
        0x03 => "NETERR_LOGIN_FAIL_OVERFLOW",
        0x04 => "NETERR_LOGIN_FAIL_REFUSE",
        0x05 => "NETERR_OPERATE_FAIL_NOAUTHORITY",
        0x06 => "NETERR_OPERATE_FAIL_OPERATING",
        0x0A => "NETERR_NOTSUPPORT",
        0x0D => "NETERR_LOGIN_FAIL_MACERR",
        0x0E => "NETERR_LOGIN_FAIL_UNSUPPORT_CLIENT",
        0x1E => "NETERR_LOGIN_FAIL_FORCE_MODITY_PWD",
        0xFFFF | 0xFFFF_FFFF => "NETERR_FAIL",
        _ => return None,
    })
}
