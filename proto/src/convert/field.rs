//! Reading single fields.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use uuid::Uuid;

use crate::error::ErrorCode;
use crate::model::id::CredentialLabel;
use crate::model::mac::MacAddr;

/// A field of a message is missing or makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field {field}: {reason}")]
pub struct BadField {
    /// The field's name in the `.proto` file.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl BadField {
    /// Names a field and what is wrong with it.
    #[must_use]
    pub fn new(field: &'static str, reason: impl fmt::Display) -> Self {
        Self {
            field,
            reason: reason.to_string(),
        }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::MessageInvalid
    }
}

pub(super) fn required<T>(field: &'static str, value: Option<T>) -> Result<T, BadField> {
    value.ok_or_else(|| BadField::new(field, "missing"))
}

pub(super) fn parsed<T>(field: &'static str, text: &str) -> Result<T, BadField>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    text.parse().map_err(|error| BadField::new(field, error))
}

/// Empty text is `None`.
pub(super) fn optional<T>(field: &'static str, text: &str) -> Result<Option<T>, BadField>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    if text.is_empty() {
        Ok(None)
    } else {
        parsed(field, text).map(Some)
    }
}

pub(super) fn text_of<T: fmt::Display>(value: Option<&T>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

pub(super) fn uuid(field: &'static str, bytes: &[u8]) -> Result<Uuid, BadField> {
    Uuid::from_slice(bytes).map_err(|_| BadField::new(field, "not 16 bytes"))
}

/// No bytes are `None`.
pub(super) fn optional_uuid(field: &'static str, bytes: &[u8]) -> Result<Option<Uuid>, BadField> {
    if bytes.is_empty() {
        Ok(None)
    } else {
        uuid(field, bytes).map(Some)
    }
}

/// No bytes are `None`.
pub(super) fn optional_mac(field: &'static str, bytes: &[u8]) -> Result<Option<MacAddr>, BadField> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let octets: [u8; 6] = bytes
        .try_into()
        .map_err(|_| BadField::new(field, "not 6 bytes"))?;
    Ok(Some(MacAddr::from(octets)))
}

pub(super) fn mac_bytes(mac: Option<MacAddr>) -> Vec<u8> {
    mac.map(|mac| mac.octets().to_vec()).unwrap_or_default()
}

pub(super) fn port(field: &'static str, number: u32) -> Result<u16, BadField> {
    u16::try_from(number).map_err(|_| BadField::new(field, format!("{number} is no port")))
}

pub(super) fn credential(text: &str) -> Result<Option<CredentialLabel>, BadField> {
    optional("credential", text)
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A code of this or a newer version; one that is not known is kept as `message.version`.
pub(super) fn code(text: &str) -> ErrorCode {
    text.parse().unwrap_or(ErrorCode::MessageVersion)
}

/// As [`code`]; empty text is `None`.
pub(super) fn optional_code(text: &str) -> Option<ErrorCode> {
    if text.is_empty() {
        None
    } else {
        Some(code(text))
    }
}

pub(super) fn all<W, M>(items: Vec<W>) -> Result<Vec<M>, BadField>
where
    M: TryFrom<W, Error = BadField>,
{
    items.into_iter().map(M::try_from).collect()
}

pub(super) fn all_parsed<T>(field: &'static str, items: &[String]) -> Result<Vec<T>, BadField>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    items.iter().map(|item| parsed(field, item)).collect()
}

pub(super) fn into_all<M, W: From<M>>(items: Vec<M>) -> Vec<W> {
    items.into_iter().map(W::from).collect()
}

pub(super) fn texts<T: fmt::Display>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}
