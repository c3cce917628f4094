//! The vectors of the TVT binary protocol.

use std::fmt::Write as _;
use std::time::Instant;

use serde_json::{Map, Value, json};
use tvtfleet_proto::device::tvt::{
    CommandId, Compat, Decoder, Event, Frame, Goal, HeadLogin, Header, Init, Json, KeySource,
    LoginPlan, Outcome, Session, SessionConfig, StandardLogin, TunnelMode, TunnelReply, Unit,
    classify_login_failure, extract, limits, login_failure_code, normalise, password_head,
    password_standard, tunnel_request, username_head,
};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::channel::{Channel, ChannelLabel};
use tvtfleet_proto::model::secret::{Credential, Secret};

use super::Suite;

pub(super) const SUITE: Suite = Suite {
    file: "protocol.json",
    operations: &[
        ("parse_init", parse_init),
        ("parse_init_full", parse_init_full),
        ("build_header", build_header),
        ("password_field_standard", password_field_standard),
        ("password_field_head", password_field_head),
        ("username_field_head", username_field_head),
        ("login_packet", login_packet),
        ("http_request_packet", http_request_packet),
        ("parse_login_success_standard", parse_login_success_standard),
        ("parse_login_success_full", parse_login_success_full),
        ("parse_login_fail", parse_login_fail),
        ("classify_login_fail", classify_login_fail),
        ("parse_login_success_head", parse_login_success_head),
        ("http_reply_content", http_reply_content),
        ("extract_cameras", extract_cameras),
        ("normalize_camera", normalize_camera),
        ("read_frame", read_frame),
        ("decode_stream", decode_stream),
        ("scripted_session", scripted_session),
    ],
};

type Answer = Result<Value, String>;

fn parse_init(vector: &Value) -> Answer {
    let init = match Init::parse(&bytes(vector, "packet_hex")?) {
        Ok(init) => init,
        Err(error) => return failed(error.code),
    };
    Ok(json!({
        // A value of this type had the flag.
        "flag": "head",
        "dev_type": init.device_type,
        "protocol_ver": init.protocol_version,
        "encrypt_type": init.encrypt_type,
        "encrypt_param": u32::from_le_bytes(init.encrypt_param),
        "mac": init.mac.to_string(),
        "login_encrypt": init.login_encrypt,
        "login_nonce_hex": hex(&init.login_nonce),
        "xor_key_hex": hex(&init.login_key()),
        "nonce": init.nonce(),
        "head_variant": init.is_head_variant(),
    }))
}

fn parse_init_full(vector: &Value) -> Answer {
    let init = match Init::parse(&bytes(vector, "packet_hex")?) {
        Ok(init) => init,
        Err(error) => return failed(error.code),
    };
    let mac8: Vec<String> = init
        .mac
        .octets()
        .iter()
        .chain(&init.mac_rest)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(json!({
        "dev_type": init.device_type,
        "product_type": init.product_type,
        "protocol_ver": init.protocol_version,
        "config_ver": init.config_version,
        "id": init.id,
        "encrypt_type": init.encrypt_type,
        "encrypt_param_hex": hex(&init.encrypt_param),
        "mac8": mac8.join(":"),
        "software_ver": init.software_version.0,
        "login_encrypt": init.login_encrypt,
        "login_nonce_hex": hex(&init.login_nonce),
        "support_soft_encrypt": init.support_soft_encrypt,
        "transport_encrypt_type": init.transport_encrypt_type,
    }))
}

fn build_header(vector: &Value) -> Answer {
    let flag = text(vector, "flag")?;
    let header = Header {
        flag: flag
            .as_bytes()
            .try_into()
            .map_err(|_| "a flag has four bytes")?,
        command: CommandId(number(vector, "cmd")?),
        id: number(vector, "cmd_id")?,
        version: number(vector, "cmd_ver")?,
        data_len: number(vector, "data_len")?,
    };
    Ok(json!({ "bytes_hex": hex(&header.encode()) }))
}

fn password_field_standard(vector: &Value) -> Answer {
    let password = text(vector, "password")?;
    let key = if input(vector, "init_hex")?.is_null() {
        None
    } else {
        let init = Init::parse(&bytes(vector, "init_hex")?).map_err(|e| e.to_string())?;
        matches!(init.login_encrypt, 1 | 2).then(|| init.login_key())
    };
    Ok(json!({ "bytes_hex": hex(&password_standard(password, key)) }))
}

fn password_field_head(vector: &Value) -> Answer {
    let field = password_head(text(vector, "password")?, number(vector, "nonce")?);
    Ok(json!({ "bytes_hex": hex(&field) }))
}

fn username_field_head(vector: &Value) -> Answer {
    let field = username_head(text(vector, "username")?, number(vector, "nonce")?);
    Ok(json!({ "bytes_hex": hex(&field) }))
}

fn login_packet(vector: &Value) -> Answer {
    let init = Init::parse(&bytes(vector, "init_hex")?).map_err(|e| e.to_string())?;
    let plan = match LoginPlan::choose(&init, KeySource::LoginBytes) {
        Ok(plan) => plan,
        Err(refusal) => return failed(refusal.code()),
    };
    match plan.request(&credential(vector)?) {
        Ok(packet) => packet_answer(&packet),
        Err(fault) => failed(fault.code()),
    }
}

fn http_request_packet(vector: &Value) -> Answer {
    packet_answer(&tunnel_request(
        text(vector, "path")?,
        number(vector, "seq")?,
    ))
}

fn parse_login_success_standard(vector: &Value) -> Answer {
    let login = match StandardLogin::parse(&bytes(vector, "payload_hex")?) {
        Ok(login) => login,
        Err(error) => return failed(error.code),
    };
    Ok(json!({
        "config_data_len": login.config_data_len,
        "software_ver_hex": hex(&login.software_version),
        "build_date": login.build_date,
        "mac": login.mac.to_string(),
        "device_name": login.name(),
    }))
}

fn parse_login_success_full(vector: &Value) -> Answer {
    let login = match StandardLogin::parse(&bytes(vector, "payload_hex")?) {
        Ok(login) => login,
        Err(error) => return failed(error.code),
    };
    let fields: [(&str, Option<Value>); 38] = [
        ("ConfigDataLen", Some(login.config_data_len.into())),
        ("PTZPresetNum", Some(login.ptz_presets.into())),
        ("PTZCruiseNum", Some(login.ptz_cruises.into())),
        (
            "PTZPresetNumForCruise",
            Some(login.ptz_presets_per_cruise.into()),
        ),
        ("PresetNameMaxLen", Some(login.preset_name_len.into())),
        ("CruiseNameMaxLen", Some(login.cruise_name_len.into())),
        ("bSupportPTZ", Some(login.ptz.into())),
        ("videoFormat", Some(login.video_format.into())),
        ("sensorInNum", Some(login.sensor_inputs.into())),
        ("alarmOutNum", Some(login.alarm_outputs.into())),
        ("ucStreamCount", Some(login.streams.into())),
        ("bSupportSnap", Some(login.snapshots.into())),
        ("ucLiveAudioStream", Some(login.live_audio_streams.into())),
        ("ucTalkAudioStream", Some(login.talk_audio_streams.into())),
        ("audioEncodeType", Some(login.audio_codec.into())),
        ("audioBitWidth", Some(login.audio_bits.into())),
        ("audioChannel", Some(login.audio_channels.into())),
        ("dwAudioSample", Some(login.audio_sample_rate.into())),
        ("UserRight", Some(login.user_rights.into())),
        ("softwareVer", Some(hex(&login.software_version).into())),
        ("buildDate", Some(login.build_date.into())),
        ("mac", Some(login.mac.to_string().into())),
        ("deviceName", Some(login.device_name.clone().into())),
        ("nCustomerID", login.customer_id.map(Value::from)),
        ("defBrightness", login.default_brightness.map(Value::from)),
        ("defContrast", login.default_contrast.map(Value::from)),
        ("defHue", login.default_hue.map(Value::from)),
        ("defSaturation", login.default_saturation.map(Value::from)),
        ("noSupportPTZ", login.no_ptz.map(Value::from)),
        ("speedDomePTZ", login.speed_dome.map(Value::from)),
        ("framerate", login.frame_rate.map(Value::from)),
        (
            "bSupportSetSubStream",
            login.set_sub_stream.map(Value::from),
        ),
        ("_bf_68", login.bits_104.map(Value::from)),
        (
            "supportPassThroughApi",
            login.pass_through_api.map(Value::from),
        ),
        ("bSupportMultiChannel", login.multi_channel.map(Value::from)),
        ("apiVersion", login.api_version.map(Value::from)),
        ("binaryVersion", login.binary_version.map(Value::from)),
        ("_bf_78", login.bits_120.map(Value::from)),
    ];
    let present = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Ok(Value::Object(present.collect::<Map<_, _>>()))
}

fn parse_login_fail(vector: &Value) -> Answer {
    match login_failure_code(&bytes(vector, "payload_hex")?) {
        Some(code) => Ok(json!({ "code": code })),
        None => failed(ErrorCode::LoginFailed),
    }
}

fn classify_login_fail(vector: &Value) -> Answer {
    let code = classify_login_failure(number(vector, "code")?);
    Ok(json!({
        "error": reference_name(code),
        // The login was on the wire, so only this one may be sent again by itself.
        "may_retry_same_credentials": code.retryable(),
    }))
}

fn parse_login_success_head(vector: &Value) -> Answer {
    let login = match HeadLogin::parse(&bytes(vector, "payload_hex")?) {
        Ok(login) => login,
        Err(error) => return failed(error.code),
    };
    let channels: Vec<Channel> = login
        .channels
        .iter()
        .map(|record| record.to_channel())
        .collect();
    Ok(json!({
        "device_name": login.serial,
        "channel_count": login.channel_count,
        "cameras": cameras(&channels),
    }))
}

fn http_reply_content(vector: &Value) -> Answer {
    match TunnelReply::parse(&bytes(vector, "payload_hex")?) {
        Ok(reply) => Ok(json!({ "content_hex": hex(reply.content) })),
        Err(error) => failed(error.code),
    }
}

fn extract_cameras(vector: &Value) -> Answer {
    let text = input(vector, "json")?.to_string();
    let document = Json::read(&text).map_err(|_| "a document is JSON")?;
    let found = extract(&document, compat(vector));
    Ok(json!({ "cameras": cameras(&found.channels) }))
}

fn normalize_camera(vector: &Value) -> Answer {
    let text = input(vector, "item")?.to_string();
    let document = Json::read(&text).map_err(|_| "an item is JSON")?;
    let item = document.as_object().ok_or("an item is an object")?;
    Ok(json!({ "camera": normalise(item, compat(vector)).as_ref().map(camera) }))
}

fn read_frame(vector: &Value) -> Answer {
    let stream = bytes(vector, "stream_hex")?;
    let mut decoder = match text(vector, "state")? {
        "expect_init" => Decoder::new(limits::FRAME_AFTER_LOGIN),
        "after_init" => Decoder::after_init(limits::FRAME_AFTER_LOGIN),
        other => return Err(format!("unknown state {other}")),
    };
    let mut rest = stream.as_slice();
    let (kind, cmd, payload) = match decoder.next(&mut rest) {
        Ok(Some(Unit::Init(_, packet))) => ("init", None, packet.to_vec()),
        Ok(Some(Unit::Heartbeat)) => ("keepalive", None, Vec::new()),
        Ok(Some(Unit::Command(Frame { header, payload }))) => {
            ("command", Some(header.command.0), payload)
        }
        Ok(None) => {
            let code = decoder.end().map_or(ErrorCode::Closed, |error| error.code);
            return Ok(error_event(code));
        }
        Err(error) => return Ok(error_event(error.code)),
    };
    Ok(json!({
        "kind": kind,
        "cmd": cmd,
        "payload_hex": hex(&payload),
        "bytes_left": rest.len(),
    }))
}

fn decode_stream(vector: &Value) -> Answer {
    let stream = bytes(vector, "stream_hex")?;
    let mut decoder = Decoder::new(limits::FRAME_AFTER_LOGIN);
    let mut rest = stream.as_slice();
    let mut events = Vec::new();
    loop {
        match decoder.next(&mut rest) {
            Ok(Some(Unit::Init(..))) => events.push(json!({ "kind": "init" })),
            Ok(Some(Unit::Heartbeat)) => events.push(json!({ "kind": "keepalive" })),
            Ok(Some(Unit::Command(frame))) => events.push(json!({
                "kind": "command",
                "cmd": frame.header.command.0,
                "payload_hex": hex(&frame.payload),
            })),
            Ok(None) => {
                events.extend(decoder.end().map(|error| error_event(error.code)));
                break;
            }
            Err(error) => {
                events.push(error_event(error.code));
                break;
            }
        }
    }
    Ok(json!({ "events": events }))
}

/// Plays the device of a script against a session.
fn scripted_session(vector: &Value) -> Answer {
    let compat = compat(vector);
    let mut config = SessionConfig::new(Goal::Scan);
    config.allow_plaintext = true;
    config.allow_xor = true;
    config.allow_empty_password = true;
    config.compat = compat;
    if compat == Compat::Pytvt051 {
        config.tunnel = TunnelMode::Always;
    }
    let chunk = input(vector, "write_chunk")?
        .as_u64()
        .ok_or("write_chunk is no number")?;
    let chunk = usize::try_from(chunk).map_err(|e| e.to_string())?;
    let mut now = Instant::now();
    let mut session = Session::new(now, config, Some(credential(vector)?));
    let mut to_client = bytes(vector, "after_connect_hex")?;
    let mut login = Vec::new();
    let outcome = 'finished: loop {
        let size = if chunk == 0 {
            to_client.len().max(1)
        } else {
            chunk
        };
        for piece in to_client.chunks(size) {
            session.handle_input(now, piece);
        }
        to_client.clear();
        while let Some(event) = session.poll_event() {
            match event {
                Event::LoginRequested(_) => session.proceed(now),
                Event::Finished(outcome) => break 'finished outcome,
                Event::Greeting(_) | Event::LoggedIn(_) => {}
            }
        }
        while let Some(request) = session.poll_transmit() {
            if login.is_empty() {
                login = request;
                to_client.extend(bytes(vector, "after_login_hex")?);
            } else {
                to_client.extend(tunnel_answer(vector, &request)?);
            }
        }
        if to_client.is_empty() {
            // The device is silent.
            now = session
                .poll_timeout()
                .ok_or("the session has no deadline")?;
            session.handle_timeout(now);
        }
    };
    Ok(session_answer(&outcome, &login))
}

fn session_answer(outcome: &Outcome, login: &[u8]) -> Value {
    let channels = outcome
        .result
        .as_ref()
        .map_or(&[][..], |found| &found.channels);
    let rejected = outcome
        .result
        .as_ref()
        .is_err_and(|failure| failure.code == ErrorCode::LoginRejected);
    json!({
        "login_packet_hex": hex(login),
        "success": outcome.result.is_ok(),
        // The vectors name a head-variant recorder by its serial number, as pytvt does.
        "device_name": outcome.device_name(Compat::Pytvt051),
        "cameras": cameras(channels),
        "auth_failed": rejected,
    })
}

/// What the scripted device answers to a frame: content for a path it knows, else its other content.
fn tunnel_answer(vector: &Value, request: &[u8]) -> Result<Vec<u8>, String> {
    if request.get(8..12) != Some(&[0x00, 0x0D, 0x01, 0x01]) {
        return Ok(Vec::new());
    }
    let sequence = request.get(28..32).ok_or("a request without its number")?;
    let http = request.get(96..).ok_or("a request without its text")?;
    let http = String::from_utf8_lossy(http);
    let path = http.split(' ').nth(1).ok_or("a request without a path")?;
    let content = match input(vector, "http_content_hex")?.get(path) {
        Some(content) => unhex(content.as_str().ok_or("content is no text")?)?,
        None => bytes(vector, "other_path_content_hex")?,
    };
    let length = u32::try_from(content.len()).map_err(|e| e.to_string())?;
    let data_len = length.saturating_add(72);
    Ok([
        b"1111".as_slice(),
        &data_len.saturating_add(16).to_le_bytes(),
        &[0x01, 0x0D, 0x01, 0x01],
        &[0; 8],
        &data_len.to_le_bytes(),
        &length.to_le_bytes(),
        sequence,
        &[0; 64],
        &content,
    ]
    .concat())
}

/// Vectors made by running pytvt hold for its habits, the others for tvtfleet's rules.
fn compat(vector: &Value) -> Compat {
    match vector.get("source").and_then(Value::as_str) {
        Some(source) if source.starts_with("pytvt") => Compat::Pytvt051,
        _ => Compat::None,
    }
}

fn cameras(channels: &[Channel]) -> Vec<Value> {
    channels.iter().map(camera).collect()
}

fn camera(channel: &Channel) -> Value {
    let label = match &channel.label {
        ChannelLabel::Number(number) => json!(number),
        ChannelLabel::Text(text) => json!(text),
    };
    json!({
        "channel": label,
        "name": channel.name,
        "address": channel.address,
        "port": channel.port,
        "status": channel.status.as_str(),
        "protocol": channel.protocol,
        "model": channel.model,
    })
}

fn packet_answer(packet: &[u8]) -> Answer {
    let payload_len = packet
        .len()
        .checked_sub(24)
        .ok_or("a packet without a header")?;
    Ok(json!({ "payload_len": payload_len, "packet_hex": hex(packet) }))
}

fn failed(code: ErrorCode) -> Answer {
    Ok(json!({ "error": reference_name(code) }))
}

fn error_event(code: ErrorCode) -> Value {
    json!({ "kind": "error", "error": reference_name(code) })
}

/// The reference's name of an error class.
fn reference_name(code: ErrorCode) -> &'static str {
    match code.as_str() {
        "device.login_rejected" => "auth_failed",
        "device.refused" => "refused_by_device",
        "device.login_failed" => "login_failed_unknown",
        "device.credential_invalid" => "invalid_credential",
        other => other.strip_prefix("device.").unwrap_or(other),
    }
}

fn credential(vector: &Value) -> Result<Credential, String> {
    Ok(Credential {
        username: text(vector, "username")?.to_owned(),
        password: Secret::new(text(vector, "password")?),
    })
}

fn input<'a>(vector: &'a Value, name: &str) -> Result<&'a Value, String> {
    vector
        .get("input")
        .and_then(|i| i.get(name))
        .ok_or_else(|| format!("no input {name}"))
}

fn text<'a>(vector: &'a Value, name: &str) -> Result<&'a str, String> {
    input(vector, name)?
        .as_str()
        .ok_or_else(|| format!("{name} is no text"))
}

fn number(vector: &Value, name: &str) -> Result<u32, String> {
    let number = input(vector, name)?
        .as_u64()
        .ok_or_else(|| format!("{name} is no number"))?;
    u32::try_from(number).map_err(|error| format!("{name}: {error}"))
}

fn bytes(vector: &Value, name: &str) -> Result<Vec<u8>, String> {
    unhex(text(vector, name)?).map_err(|error| format!("{name}: {error}"))
}

fn unhex(digits: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u32> = digits
        .chars()
        .map(|c| c.to_digit(16).ok_or("no hex digit"))
        .collect::<Result<_, _>>()?;
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(high * 16 + low).map_err(|error| error.to_string()),
            _ => Err("odd number of hex digits".to_owned()),
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
