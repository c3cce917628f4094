//! HTTP text inside the session, without what looks like a credential.

use super::super::config::Compat;
use super::super::field::{count, keep};
use super::super::http::HttpContent;
use super::super::json;
use super::super::tunnel::TunnelReply;
use super::fields::{lines, number, text};
use super::mask::{MASK, mask_json, mask_text, mask_xml};
use super::unit::{ExplainedUnit, Field, FieldValue};

/// Characters shown of one HTTP text.
pub const TEXT_SHOWN: usize = 4096;
/// Header lines shown of one HTTP text.
const HEADERS_SHOWN: usize = 64;

/// Headers whose values are shown; any other may be an authorisation in disguise.
const OPEN_HEADERS: [&str; 12] = [
    "accept",
    "allow",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "host",
    "server",
    "transfer-encoding",
    "user-agent",
];

/// Explains a request or an answer inside the session.
pub(super) fn explain_tunnel(unit: &mut ExplainedUnit, payload: &[u8], is_reply: bool) {
    let reply = match TunnelReply::parse(payload) {
        Ok(reply) => reply,
        Err(error) => {
            unit.code = Some(error.code);
            unit.summary = error.text.to_owned();
            return;
        }
    };
    unit.fields.push(number("sequence", reply.sequence));
    unit.fields
        .push(number("content_length", count(reply.content.len())));
    let (head, body) = split(reply.content);
    let first = head.lines().next().unwrap_or_default().to_owned();
    if is_reply {
        summarise_reply(unit, &reply, &first);
    } else {
        unit.summary = format!("HTTP request inside the session: {}", keep(&first));
    }
    if !head.is_empty() {
        unit.fields.push(lines("http_head", head));
    }
    let shown_body = if is_reply {
        HttpContent::split(reply.content).map_or_else(
            |_| {
                lines(
                    "http_body",
                    not_shown(body.len(), "its chunks do not fit together"),
                )
            },
            |content| shown(&content.body),
        )
    } else {
        shown(body)
    };
    if shown_body.value != FieldValue::Lines(String::new()) {
        unit.fields.push(shown_body);
    }
}

fn summarise_reply(unit: &mut ExplainedUnit, reply: &TunnelReply<'_>, first: &str) {
    let status = if first.is_empty() {
        "no HTTP status line".to_owned()
    } else {
        keep(first)
    };
    let found = match reply.cameras(Compat::None) {
        Ok(cameras) => {
            unit.fields
                .push(number("cameras", count(cameras.channels.len())));
            format!("cameras: {}", cameras.channels.len())
        }
        Err(trouble) => {
            unit.code = Some(trouble.code);
            unit.fields.push(text("trouble", keep(&trouble.text)));
            keep(&trouble.text)
        }
    };
    unit.summary = format!("HTTP answer inside the session: {status}; {found}");
}

/// Splits content into its head, masked, and the bytes behind it; no head where it does not begin
/// like HTTP.
fn split(content: &[u8]) -> (String, &[u8]) {
    let first = content
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    if !first.windows(5).any(|part| part == b"HTTP/") {
        return (String::new(), content);
    }
    let mut head = String::new();
    let mut rest = content;
    let mut number_of_lines = 0_usize;
    while !rest.is_empty() {
        let mut parts = rest.splitn(2, |byte| *byte == b'\n');
        let line = parts.next().unwrap_or_default();
        rest = parts.next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if number_of_lines < HEADERS_SHOWN {
            let line = String::from_utf8_lossy(line);
            let line = if number_of_lines == 0 {
                mask_text(&line)
            } else {
                masked_header(&line)
            };
            head.push_str(&keep(&line));
            head.push('\n');
        }
        number_of_lines = number_of_lines.saturating_add(1);
    }
    (head.trim_end().to_owned(), rest)
}

fn masked_header(line: &str) -> String {
    match line.split_once(':') {
        Some((name, value)) => {
            let is_open = OPEN_HEADERS
                .iter()
                .any(|open| name.trim().eq_ignore_ascii_case(open));
            // An address with a user in front is no address.
            let value = if is_open && !value.contains('@') {
                mask_text(value.trim())
            } else {
                MASK.to_owned()
            };
            format!("{}: {value}", name.trim())
        }
        // A continued header, or none at all.
        None => MASK.to_owned(),
    }
}

/// A body as it may be shown: JSON and XML masked, anything else counted only.
fn shown(body: &[u8]) -> Field {
    let body_text = match body.trim_ascii_start().first() {
        None => String::new(),
        Some(b'{' | b'[') => match json::read_changeable(body) {
            Ok(mut document) => {
                mask_json(&mut document);
                serde_json::to_string_pretty(&document).unwrap_or_default()
            }
            // What cannot be parsed cannot be masked with certainty.
            Err(fault) => not_shown(body.len(), &fault.to_string()),
        },
        Some(b'<') => mask_xml(&String::from_utf8_lossy(body)),
        Some(_) => not_shown(body.len(), "it is neither JSON nor XML"),
    };
    lines("http_body", cut(&body_text))
}

fn not_shown(length: usize, why: &str) -> String {
    format!("({length} bytes, not shown: {why})")
}

/// At most [`TEXT_SHOWN`] characters, control characters as spaces, line feeds kept.
fn cut(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(TEXT_SHOWN)
        .map(|character| match character {
            '\n' => '\n',
            other if other.is_control() => ' ',
            other => other,
        })
        .collect();
    let left = text.chars().count().saturating_sub(TEXT_SHOWN);
    if left > 0 {
        shown.push_str(&format!("\n(… {left} more characters)"));
    }
    shown
}
