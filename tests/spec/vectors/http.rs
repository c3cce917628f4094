//! The kinds of `http.json`, run by conformance tag.
//!
//! `divergent_flow` vectors record what another program does wrong: what is checked is that we do
//! not. Kinds and calls of features that do not exist here are counted and named, never passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde_json::{Map, Value, json};
use tvtfleet_proto::device::cgi::{
    Failure, SessionKey, channel_guid, channel_number, cookies, password_text, proof,
    proof_with_key,
};
use tvtfleet_proto::device::http::{
    DigestChallenge, DigestResponse, DigestUse, Method, basic, challenges,
};
use tvtfleet_proto::device::webapi::lapi;
use tvtfleet_proto::device::xml::{Document, Element};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::secret::{Credential, Secret};

use super::{http_cgi, http_pictures, http_webapi};

/// What a vector came to.
pub(super) enum Found {
    /// Everything is as it should be.
    Holds,
    /// It is about something that does not exist here.
    Absent(String),
}

type Check = fn(&Value) -> Result<Found, String>;

const KINDS: [(&str, Check); 24] = [
    ("cgi_login_hash", login_hash),
    ("cgi_password_encoding", password_encoding),
    ("cgi_login_hash_rsa", login_hash_rsa),
    ("cgi_session_key", session_key),
    ("cgi_session_cookie", session_cookie),
    ("cgi_error", cgi_error),
    ("channel_guid", guid),
    ("cgi_field", field),
    ("cgi_exchange", http_cgi::exchange),
    ("lapi_basic_auth", basic_auth),
    ("lapi_xml_build", xml_build),
    ("lapi_status", lapi_status),
    ("lapi_exchange", http_webapi::exchange),
    ("digest_challenge_parse", challenge_parse),
    ("digest_authorization", authorization),
    ("digest_response", digest_response),
    ("flat_result", http_webapi::flat_result),
    ("flat_parse", http_webapi::flat_parse),
    ("flat_request", http_webapi::flat_request),
    ("jpeg_framing", http_pictures::framing),
    ("jpeg_probe", http_pictures::probe),
    ("keyframe_codec_sniff", http_pictures::sniff),
    ("keyframe_codec_format", http_pictures::format),
    ("rtsp_target", http_pictures::target),
];

/// What is not here, as a kind or a call of a kind, and why.
const ABSENT: [(&str, &str); 30] = [
    ("alarm_frame", PUSHED),
    ("event_time", PUSHED),
    ("cgi_exchange query_alarm_server", PUSHED),
    ("cgi_exchange set_alarm_server", PUSHED),
    ("cgi_exchange query_ai_resource", RECOGNITION),
    ("cgi_exchange set_nvr_face_detection", RECOGNITION),
    ("cgi_exchange search_face_events", RECOGNITION),
    ("cgi_exchange search_plate_events", RECOGNITION),
    (
        "cgi_exchange query_secure_email",
        "mail for lost passwords is nobody's ask",
    ),
    ("cgi_exchange add_nvr_devices", CAMERAS),
    ("cgi_exchange delete_nvr_devices", CAMERAS),
    ("cgi_exchange edit_ipc_password_status", CAMERAS),
    ("cgi_exchange edit_nvr_lan_device_network", CAMERAS),
    ("cgi_exchange query_nvr_lan_free_devices", CAMERAS),
    ("cgi_exchange update_device_credentials", CAMERAS),
    ("subnet_map", CAMERAS),
    ("workflow_password_rotate", CAMERAS),
    ("workflow_subnet_change", CAMERAS),
    (
        "nvms_web_crypto",
        "the management server is another product",
    ),
    (
        "nvms_web_envelope",
        "the management server is another product",
    ),
    (
        "nvms_web_exchange",
        "the management server is another product",
    ),
    (
        "ffmpeg_failure",
        "pictures come without ffmpeg; its words are not read",
    ),
    (
        "rtsp_url",
        "pytvt's guess; ours asks the recorder, then takes its own path",
    ),
    (
        "lapi_exchange get_device_info",
        "digest by pytvt's second client; `digest_*` has the logins",
    ),
    (
        "lapi_exchange get_supported_apis",
        "this dialect is known by its device's name alone",
    ),
    (
        "lapi_exchange ensure_webapi_available",
        "services are switched on by `set-services` only",
    ),
    (
        "lapi_exchange get_nat_config",
        "the vendor's cloud is nobody's ask",
    ),
    (
        "lapi_exchange get_snapshot_by_time",
        "pictures of recordings are nobody's ask",
    ),
    (
        "lapi_exchange modify_password",
        "passwords are not sent in clear; the pages change them",
    ),
    (
        "lapi_exchange set_date_and_time",
        "this dialect is read only: no device is known to serve it",
    ),
];
const PUSHED: &str = "alarms that devices push are not taken in";
const RECOGNITION: &str = "faces and plates are nobody's ask";
const CAMERAS: &str = "changes of the cameras behind a recorder";

#[derive(Default)]
struct Tally {
    held: BTreeMap<String, usize>,
    absent: BTreeMap<String, usize>,
    mismatches: Vec<String>,
}

fn run(path: &Path) -> Tally {
    let text = std::fs::read_to_string(path).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut tally = Tally::default();
    for vector in document["vectors"].as_array().unwrap() {
        let word = |key: &str| vector[key].as_str().unwrap_or_default().to_owned();
        let (kind, tag) = (word("kind"), word("conformance"));
        if ABSENT.iter().any(|(absent, _)| *absent == kind) {
            *tally.absent.entry(kind).or_default() += 1;
            continue;
        }
        let found = match KINDS.iter().find(|(name, _)| *name == kind) {
            Some((_, check)) => check(vector),
            None => Err("a kind that is not known".to_owned()),
        };
        match found {
            Ok(Found::Holds) => *tally.held.entry(format!("{kind} {tag}")).or_default() += 1,
            Ok(Found::Absent(what)) => {
                *tally.absent.entry(format!("{kind} {what}")).or_default() += 1
            }
            Err(error) => tally
                .mismatches
                .push(format!("{} ({tag}): {error}", word("id"))),
        }
    }
    println!(
        "{}: held {:?}\nnot here: {:?}",
        path.display(),
        tally.held,
        tally.absent
    );
    tally
}

#[track_caller]
fn check(tally: &Tally) {
    assert!(
        tally.mismatches.is_empty(),
        "{}",
        tally.mismatches.join("\n")
    );
    assert!(!tally.held.is_empty(), "no vectors");
}

#[test]
fn http_vectors_hold() {
    let tally = run(&Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/http.json"));
    check(&tally);
    for (kind, _) in KINDS {
        assert!(
            tally.held.keys().any(|held| held.starts_with(kind)),
            "{kind}: none"
        );
    }
    let known: BTreeSet<&str> = ABSENT.iter().map(|(what, _)| *what).collect();
    let absent: BTreeSet<&str> = tally.absent.keys().map(String::as_str).collect();
    assert_eq!(absent, known, "what is not here is named, with its reason");
}

#[test]
fn more_http_vectors_hold() {
    let Some(directory) = std::env::var_os(super::MORE) else {
        return;
    };
    let path = PathBuf::from(directory).join("http.json");
    if path.exists() {
        check(&run(&path));
    }
}

/// Compares an answer with what is expected.
pub(super) fn same(found: &Value, expected: &Value) -> Result<Found, String> {
    if found == expected {
        return Ok(Found::Holds);
    }
    Err(format!("\n    expected {expected}\n    found    {found}"))
}

/// Compares only the keys that are expected.
pub(super) fn covers(found: &Value, expected: &Value) -> Result<Found, String> {
    let cut: Map<String, Value> = expected
        .as_object()
        .ok_or("no object expected")?
        .keys()
        .map(|key| (key.clone(), found.get(key).cloned().unwrap_or(Value::Null)))
        .collect();
    same(&Value::Object(cut), expected)
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    value[key].as_str().ok_or(format!("no {key}"))
}

pub(super) fn xml(text: &str) -> Result<Element, String> {
    Document::read(text.as_bytes())
        .map(|document| document.root)
        .map_err(|error| format!("{error}: {text}"))
}

pub(super) fn credential(input: &Value) -> Result<Credential, String> {
    Ok(Credential {
        username: text(input, "username")?.to_owned(),
        password: Secret::new(text(input, "password")?),
    })
}

fn password(vector: &Value) -> Result<Secret, String> {
    text(&vector["input"], "password").map(Secret::new)
}

fn login_hash(vector: &Value) -> Result<Found, String> {
    let encoded = password_text(&password(vector)?);
    let digits = base64::engine::general_purpose::STANDARD
        .decode(encoded.expose())
        .map_err(|error| error.to_string())?;
    let proof = proof(&password(vector)?, text(&vector["input"], "nonce")?);
    same(
        &json!({"md5_upper_hex": String::from_utf8_lossy(&digits), "sha512_hex": proof.expose()}),
        &vector["expected"],
    )
}

fn password_encoding(vector: &Value) -> Result<Found, String> {
    let encoded = password_text(&password(vector)?);
    same(&json!({"encoded": encoded.expose()}), &vector["expected"])
}

fn login_hash_rsa(vector: &Value) -> Result<Found, String> {
    let input = &vector["input"];
    let proof = proof_with_key(
        &password(vector)?,
        text(input, "nonce")?,
        text(input, "rsa_public_pem")?,
    );
    same(&json!(proof.expose()), &vector["expected"]["sha512_hex"])
}

fn session_key(vector: &Value) -> Result<Found, String> {
    let expected = &vector["expected"];
    let key = SessionKey::unwrap(text(expected, "session_key_b64")?, &password(vector)?)
        .ok_or("no key")?;
    same(&json!(key.text().expose()), &expected["decrypted"])?;
    for pair in expected["encrypted_plaintexts"]
        .as_array()
        .ok_or("no texts")?
    {
        let plain = Secret::new(text(pair, "plaintext")?);
        let encrypted = key.encrypt(&plain).ok_or("not encrypted")?;
        same(&json!(encrypted.expose()), &pair["ciphertext_b64"])?;
    }
    Ok(Found::Holds)
}

fn session_cookie(vector: &Value) -> Result<Found, String> {
    let input = &vector["input"];
    let headers = input["set_cookie_headers"].as_array().ok_or("no headers")?;
    let pairs = cookies(
        headers.iter().filter_map(Value::as_str),
        input["session_id_element"].as_str(),
    );
    let shown: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let header = (!shown.is_empty()).then(|| shown.join("; "));
    same(&json!({ "cookie_header": header }), &vector["expected"])
}

fn cgi_error(vector: &Value) -> Result<Found, String> {
    let code = vector["input"]["code"]
        .as_u64()
        .and_then(|code| u32::try_from(code).ok());
    let failure = Failure(code.ok_or("no code")?);
    same(
        &json!({
            "hex": format!("0x{:08X}", failure.0),
            "low": failure.low(),
            "action": failure.action().as_str(),
            "must_not_retry_login": failure.forbids_login(),
        }),
        &vector["expected"],
    )
}

fn guid(vector: &Value) -> Result<Found, String> {
    let channel = vector["input"]["channel"]
        .as_u64()
        .and_then(|one| u32::try_from(one).ok());
    let channel = channel.ok_or("no channel")?;
    let guid = channel_guid(channel);
    if channel_number(&guid) != Some(channel) {
        return Err(format!("{guid} is not read back"));
    }
    same(&json!({ "guid": guid }), &vector["expected"])
}

fn field(vector: &Value) -> Result<Found, String> {
    let input = &vector["input"];
    let root = xml(text(input, "body")?)?;
    let name = text(input, "element")?;
    let found = root
        .walk()
        .find(|element| element.name() == name)
        .map(Element::text);
    same(&json!({ "value": found }), &vector["expected"])
}

fn basic_auth(vector: &Value) -> Result<Found, String> {
    let header = basic(&credential(&vector["input"])?);
    same(
        &json!({"authorization": header.expose()}),
        &vector["expected"],
    )
}

fn xml_build(vector: &Value) -> Result<Found, String> {
    let input = &vector["input"];
    let fields = input["fields"]
        .as_array()
        .ok_or("no fields")?
        .iter()
        .map(|pair| {
            let value = match &pair[1] {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other
                @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                    Some(other.to_string())
                }
            };
            (pair[0].as_str().unwrap_or_default(), value)
        });
    let built = lapi::document_of(text(input, "tag")?, fields).to_document();
    if xml(&built)? == xml(text(&vector["expected"], "body")?)? {
        return Ok(Found::Holds);
    }
    Err(format!("built {}", built.as_str()))
}

fn lapi_status(vector: &Value) -> Result<Found, String> {
    let number = |key: &str| {
        vector["input"][key]
            .as_u64()
            .and_then(|one| u32::try_from(one).ok())
    };
    let status = lapi::Status {
        status: number("status_code").ok_or("no status")?,
        sub: number("sub_code").ok_or("no sub-code")?,
    };
    let expected = &vector["expected"];
    let trouble = status.trouble();
    same(&json!(trouble.is_none()), &expected["ok"])?;
    match trouble {
        Some(trouble) => same(&json!(kind(trouble.code)), &expected["error"]["kind"]),
        None => Ok(Found::Holds),
    }
}

/// The vectors' word for a code.
pub(super) fn kind(code: ErrorCode) -> &'static str {
    if code == ErrorCode::LoginRejected {
        "auth"
    } else if code == ErrorCode::PasswordChangeRequired {
        "password_expired"
    } else if code == ErrorCode::PermissionDenied {
        "permission"
    } else if [ErrorCode::CommandUnsupported, ErrorCode::InterfaceAbsent].contains(&code) {
        "unsupported"
    } else if code == ErrorCode::Busy {
        "busy"
    } else if code == ErrorCode::BadAnswer {
        "response_shape"
    } else {
        "api_error"
    }
}

fn challenge_parse(vector: &Value) -> Result<Found, String> {
    let found = challenges([text(&vector["input"], "header")?]);
    let parameters = &found.first().ok_or("no challenge")?.parameters;
    same(&json!({ "params": parameters }), &vector["expected"])
}

/// Only the client's nonce may differ, which must not be foreseeable: the answer is computed again
/// with the one that was recorded.
fn authorization(vector: &Value) -> Result<Found, String> {
    let input = &vector["input"];
    let credential = credential(input)?;
    let found = challenges([text(input, "challenge")?]);
    let challenge = DigestChallenge::of(&found[0].parameters).ok_or("no digest")?;
    let mut used = DigestUse::new(challenge.clone());
    let requests = input["requests"].as_array().ok_or("no requests")?;
    let expected = vector["expected"]["authorization"]
        .as_array()
        .ok_or("none expected")?;
    for (request, expected) in requests.iter().zip(expected) {
        let (word, uri) = (text(request, "method")?, text(request, "uri")?);
        let method = if word == "GET" {
            Method::Get
        } else {
            Method::Post
        };
        let sent = used.authorize(&credential, method, uri, 1);
        let theirs = challenges([expected.as_str().unwrap_or_default()]);
        let ours = challenges([sent.expose()]);
        let part = |list: &[tvtfleet_proto::device::http::Challenge], key: &str| {
            list[0].parameters.get(key).cloned().unwrap_or_default()
        };
        for key in ["username", "realm", "nonce", "uri", "qop", "nc", "opaque"] {
            same(&json!(part(&ours, key)), &json!(part(&theirs, key)))?;
        }
        let again = DigestResponse::compute(
            &challenge,
            &credential,
            (word, uri),
            (&part(&theirs, "nc"), &part(&theirs, "cnonce")),
        );
        same(&json!(again.response), &json!(part(&theirs, "response")))?;
    }
    Ok(Found::Holds)
}

fn digest_response(vector: &Value) -> Result<Found, String> {
    let input = &vector["input"];
    let mut parameters = BTreeMap::new();
    for key in ["realm", "nonce", "qop", "algorithm"] {
        let value = text(input, key)?;
        if !value.is_empty() {
            parameters.insert(key.to_owned(), value.to_owned());
        }
    }
    let challenge = DigestChallenge::of(&parameters).ok_or("no challenge")?;
    let found = DigestResponse::compute(
        &challenge,
        &credential(input)?,
        (text(input, "method")?, text(input, "uri")?),
        (text(input, "nc")?, text(input, "cnonce")?),
    );
    same(
        &json!({"ha1": found.ha1, "ha2": found.ha2, "response": found.response}),
        &vector["expected"],
    )
}
