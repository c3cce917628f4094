//! The frames of a login, and the greeting in front of it.

use super::super::cipher::username_head;
use super::super::command::CommandId;
use super::super::field::{array_at, count, hex, keep, padded_text, u8_at, u32_at};
use super::super::head::HeadLogin;
use super::super::init::Init;
use super::super::limits::KEPT_PAYLOAD;
use super::super::reply::{
    StandardLogin, classify_head_login_failure, classify_login_failure, login_failure_code,
};
use super::commands::login_failure_name;
use super::fields::{maybe, number, text};
use super::mask::MASK;
use super::unit::{ExplainedUnit, Field, FieldValue};
use crate::error::ErrorCode;
use crate::model::mac::MacAddr;

/// Payload of a standard login.
const STANDARD_LEN: usize = 116;
/// Payload of a head-variant login.
const HEAD_LEN: usize = 236;
/// Payload of a DVR V4 login, which shares its id with the standard one.
const V4_LEN: usize = 120;

const USERNAME: std::ops::Range<usize> = 4..36;
const COMPUTER_NAME: std::ops::Range<usize> = 68..96;
const CLIENT_MAC_AT: usize = 104;
const PROTOCOL_VERSION_AT: usize = 112;
const HEAD_USERNAME: std::ops::Range<usize> = 36..100;
const HEAD_RANDOM_AT: usize = 204;

/// Fields of a greeting.
pub(super) fn explain_greeting(unit: &mut ExplainedUnit, init: &Init) {
    let family = if init.is_head_variant() {
        "head variant"
    } else {
        "standard family"
    };
    unit.summary = format!(
        "greeting: {family}, protocol {}, firmware {}, MAC {}",
        init.protocol_version, init.software_version, init.mac
    );
    unit.fields = vec![
        number("device_type", init.device_type),
        number("product_type", init.product_type),
        number("protocol_version", init.protocol_version),
        number("config_version", init.config_version),
        number("id", init.id),
        number("encrypt_type", init.encrypt_type),
        text("encrypt_param", hex(&init.encrypt_param)),
        text("mac", init.mac.to_string()),
        text("mac_is_tvt", if init.mac.is_tvt() { "yes" } else { "no" }),
        text("firmware", init.software_version.to_string()),
        number("login_encrypt", init.login_encrypt),
        text("login_nonce", hex(&init.login_nonce)),
        number("support_soft_encrypt", init.support_soft_encrypt),
        number("transport_encrypt_type", init.transport_encrypt_type),
    ];
    if init.mac_rest != [0; 2] {
        unit.fields.push(text("mac_rest", hex(&init.mac_rest)));
    }
    if init.reserved != [0; 11] {
        unit.fields.push(text("reserved", hex(&init.reserved)));
    }
}

/// Fields of a login. The password's bytes are not looked at, nor is any byte whose place depends on
/// a layout that the length does not confirm.
pub(super) fn explain_login(
    unit: &mut ExplainedUnit,
    command: CommandId,
    payload: &[u8],
    init: Option<&Init>,
) {
    unit.fields
        .push(number("payload_length", count(payload.len())));
    unit.fields.push(text("password", MASK));
    let fields = match (command, payload.len()) {
        (CommandId::HEAD_LOGIN, HEAD_LEN) => head_login(payload, init),
        (CommandId::LOGIN, STANDARD_LEN) => standard_login(payload, init),
        (CommandId::LOGIN, V4_LEN) => {
            unit.summary = "login of the DVR V4 family, which is not supported".to_owned();
            unit.code = Some(ErrorCode::UnsupportedVariant);
            return;
        }
        _ => None,
    };
    let Some(fields) = fields else {
        unit.summary = format!("login of an unknown layout, {} bytes", payload.len());
        unit.code = Some(ErrorCode::ProtocolViolation);
        return;
    };
    let username = fields.iter().find_map(|field| match &field.value {
        FieldValue::Text(value) if field.name == "username" => Some(value.clone()),
        FieldValue::Text(_)
        | FieldValue::Lines(_)
        | FieldValue::Number(_)
        | FieldValue::Rows(_) => None,
    });
    let who = username.map_or_else(String::new, |name| format!(" as {name}"));
    let how = how_sent(command, init);
    unit.fields.push(text("password_sent", how));
    unit.fields.extend(fields);
    unit.summary = format!("login{who}, password {how}");
}

/// What the login does to the password, judged by the greeting alone.
fn how_sent(command: CommandId, init: Option<&Init>) -> &'static str {
    match init {
        _ if command == CommandId::HEAD_LOGIN => "as a digest",
        None => "in a way unknown without the greeting",
        Some(init) => match (init.login_encrypt, init.encrypt_type) {
            (0, 0) => "in clear",
            (1 | 2, _) => "under XOR with a key sent in clear",
            _ => "in a way that is not documented",
        },
    }
}

fn standard_login(payload: &[u8], init: Option<&Init>) -> Option<Vec<Field>> {
    let field = payload.get(USERNAME)?;
    let mut fields = vec![number("connect_type", u32_at(payload, 0)?)];
    match (printable(field), init) {
        (Some(name), _) => fields.push(text("username", name)),
        (None, Some(init)) => {
            // Cameras that name an encryption are thought to want the name under this key.
            let key = init.encrypt_param;
            let plain: Vec<u8> = field
                .iter()
                .zip(key.iter().cycle())
                .map(|(a, b)| a ^ b)
                .collect();
            match printable(&plain) {
                Some(name) => {
                    fields.push(text("username", name));
                    fields.push(text("username_key", "encrypt_param"));
                }
                None => fields.push(text("username_hidden", "under an unknown key")),
            }
        }
        (None, None) => fields.push(text("username_hidden", "unreadable without the greeting")),
    }
    fields.push(text(
        "computer_name",
        keep(&padded_text(payload.get(COMPUTER_NAME)?)),
    ));
    let mac = MacAddr::from(array_at::<6>(payload, CLIENT_MAC_AT)?);
    if mac.octets() != [0; 6] {
        fields.push(text("client_mac", mac.to_string()));
    }
    fields.push(number(
        "client_protocol_version",
        u32_at(payload, PROTOCOL_VERSION_AT)?,
    ));
    Some(fields)
}

fn head_login(payload: &[u8], init: Option<&Init>) -> Option<Vec<Field>> {
    let field: [u8; 64] = array_at(payload, HEAD_USERNAME.start)?;
    let mut fields = vec![number("connect_type", u32_at(payload, 0)?)];
    match init {
        Some(init) => match unmask_head(&field, init.nonce()) {
            Some(name) => fields.push(text("username", name)),
            None => fields.push(text("username_hidden", "not under the greeting's nonce")),
        },
        None => fields.push(text("username_hidden", "unreadable without the greeting")),
    }
    fields.push(number("client_random", u32_at(payload, HEAD_RANDOM_AT)?));
    Some(fields)
}

/// The user name of a head-variant login. The scheme keeps zero bytes, so the same step undoes it;
/// the result counts only if it gives the same field again.
fn unmask_head(field: &[u8; 64], nonce: u32) -> Option<String> {
    let digits = nonce.to_string();
    let plain: Vec<u8> = field
        .iter()
        .zip(digits.bytes().cycle())
        .map(|(byte, key)| if *byte == 0 { 0 } else { byte ^ key })
        .collect();
    let name = printable(&plain)?;
    (username_head(&name, nonce) == *field).then_some(name)
}

/// The text of a NUL-padded field of printable ASCII with nothing behind the padding.
fn printable(field: &[u8]) -> Option<String> {
    let length = field
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(field.len());
    let (name, padding) = field.split_at_checked(length)?;
    let fits = !name.is_empty()
        && name.iter().all(|byte| matches!(byte, 0x20..=0x7E))
        && padding.iter().all(|byte| *byte == 0);
    fits.then(|| String::from_utf8_lossy(name).into_owned())
}

/// Fields of an accepting reply of the standard family.
pub(super) fn explain_accepted(unit: &mut ExplainedUnit, payload: &[u8]) {
    let login = match StandardLogin::parse(payload) {
        Ok(login) => login,
        Err(error) => {
            unit.summary = format!("login accepted, but {}", error.text);
            unit.code = Some(error.code);
            return;
        }
    };
    let tunnel = match login.pass_through_api {
        Some(0) => "answers no HTTP inside the session",
        Some(_) => "answers HTTP inside the session",
        None => "does not say whether it answers HTTP inside the session",
    };
    unit.summary = format!("login accepted: {:?}, {tunnel}", login.name());
    unit.fields = vec![
        number("payload_length", count(payload.len())),
        text("device_name", keep(&login.device_name)),
        text("mac", login.mac.to_string()),
        text("software_version", hex(&login.software_version)),
        number("build_date", login.build_date),
    ];
    unit.fields
        .extend(login.built().map(|date| text("built", date.to_string())));
    unit.fields.extend([
        number("config_data_len", login.config_data_len),
        number("ptz_presets", login.ptz_presets),
        number("ptz_cruises", login.ptz_cruises),
        number("ptz_presets_per_cruise", login.ptz_presets_per_cruise),
        number("preset_name_len", login.preset_name_len),
        number("cruise_name_len", login.cruise_name_len),
        number("ptz", login.ptz),
        number("video_format", login.video_format),
        number("sensor_inputs", login.sensor_inputs),
        number("alarm_outputs", login.alarm_outputs),
        number("streams", login.streams),
        number("snapshots", login.snapshots),
        number("live_audio_streams", login.live_audio_streams),
        number("talk_audio_streams", login.talk_audio_streams),
        number("audio_codec", login.audio_codec),
        number("audio_bits", login.audio_bits),
        number("audio_channels", login.audio_channels),
        number("audio_sample_rate", login.audio_sample_rate),
        text("user_rights", format!("{:#010x}", login.user_rights)),
    ]);
    let later = [
        maybe("customer_id", login.customer_id),
        maybe("default_brightness", login.default_brightness),
        maybe("default_contrast", login.default_contrast),
        maybe("default_hue", login.default_hue),
        maybe("default_saturation", login.default_saturation),
        maybe("no_ptz", login.no_ptz),
        maybe("speed_dome", login.speed_dome),
        maybe("frame_rate", login.frame_rate),
        maybe("set_sub_stream", login.set_sub_stream),
        maybe("bits_104", login.bits_104),
        maybe("pass_through_api", login.pass_through_api),
        maybe("multi_channel", login.multi_channel),
        maybe("api_version", login.api_version),
        maybe("binary_version", login.binary_version),
        maybe("bits_120", login.bits_120),
    ];
    unit.fields.extend(later.into_iter().flatten());
}

/// Fields of an accepting reply of the head variant.
pub(super) fn explain_head_accepted(unit: &mut ExplainedUnit, payload: &[u8]) {
    let login = match HeadLogin::parse(payload) {
        Ok(login) => login,
        Err(error) => {
            unit.summary = format!("login accepted, but {}", error.text);
            unit.code = Some(error.code);
            return;
        }
    };
    unit.summary = format!(
        "login accepted: serial {:?}, {} of at most {} channels",
        login.serial, login.channel_count, login.max_channels
    );
    if login.is_short() {
        unit.code = Some(ErrorCode::Truncated);
        unit.summary
            .push_str(&format!(", {} records", login.channels.len()));
    }
    let rows = login
        .channels
        .iter()
        .map(|channel| {
            vec![
                number("number", channel.number),
                text("word", format!("{:#010x}", channel.word)),
                text("status", channel.to_channel().status.as_str()),
                text("node", hex(&channel.node)),
            ]
        })
        .collect();
    unit.fields = vec![
        number("payload_length", count(payload.len())),
        text("serial", login.serial),
        number("channel_count", login.channel_count),
        number("max_channels", login.max_channels),
        number("second_count", login.second_count),
        text("flags", format!("{:#010x}", login.flags)),
        Field {
            name: "channels",
            value: FieldValue::Rows(rows),
        },
    ];
}

/// Fields of a refusal.
pub(super) fn explain_refused(
    unit: &mut ExplainedUnit,
    command: CommandId,
    payload: &[u8],
    code: ErrorCode,
) {
    let wire = login_failure_code(payload);
    let is_standard = command == CommandId::LOGIN_REFUSED;
    unit.code = Some(match wire {
        Some(wire) if is_standard => classify_login_failure(wire),
        Some(wire) if command.is_head_login_refused() => classify_head_login_failure(wire),
        Some(_) | None => code,
    });
    unit.fields
        .extend(wire.map(|wire| text("wire_code", format!("{wire:#x}"))));
    let name = wire.filter(|_| is_standard).and_then(login_failure_name);
    unit.fields
        .extend(name.map(|name| text("vendor_name", name)));
    unit.summary = match (wire, name) {
        (Some(wire), Some(name)) => format!("login refused with code {wire:#x} ({name})"),
        (Some(wire), None) => {
            format!("login refused with code {wire:#x}, whose meaning is unknown")
        }
        (None, _) => "login refused without a code".to_owned(),
    };
    let kept = payload.get(..KEPT_PAYLOAD).unwrap_or(payload);
    if u8_at(payload, 4).is_some() {
        unit.fields.push(text("payload", hex(kept)));
    }
}
