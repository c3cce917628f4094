//! JSON values as Python has them.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::printable::is_printable;
use crate::render::json::python_float;

/// A value of a result file, with its JSON type.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum PyValue<'a> {
    /// `None`.
    #[default]
    Null,
    /// `True` or `False`.
    Bool(bool),
    /// An `int`.
    Int(i128),
    /// A `float`.
    Float(f64),
    /// A `str`.
    Str(Cow<'a, str>),
    /// A `list`.
    List(Vec<Self>),
    /// A `dict`.
    Dict(Vec<(Cow<'a, str>, Self)>),
}

impl<'a> PyValue<'a> {
    pub(super) const EMPTY: PyValue<'static> = PyValue::Str(Cow::Borrowed(""));

    /// `bool(value)`.
    pub(super) fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(truth) => *truth,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(elements) => !elements.is_empty(),
            Self::Dict(entries) => !entries.is_empty(),
        }
    }

    /// `==`: numbers and truth values compare by their worth, dictionaries without order.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::List(a), Self::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b))
            }
            (Self::Dict(a), Self::Dict(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .all(|(key, a)| b.iter().any(|(other, b)| key == other && a.equals(b)))
            }
            (Self::Null, Self::Null) => true,
            (_, _) => match (self.number(), other.number()) {
                (Some(a), Some(b)) => a == b,
                (_, _) => false,
            },
        }
    }

    /// The worth of a number or truth value.
    pub(super) fn number(&self) -> Option<Worth> {
        match self {
            Self::Bool(truth) => Some(Worth::Int(i128::from(*truth))),
            Self::Int(number) => Some(Worth::Int(*number)),
            Self::Float(number) => Some(Worth::of(*number)),
            Self::Null | Self::Str(_) | Self::List(_) | Self::Dict(_) => None,
        }
    }

    /// `str(value)`.
    pub(super) fn str(&self) -> Cow<'_, str> {
        match self {
            Self::Str(text) => Cow::Borrowed(text),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::List(_)
            | Self::Dict(_) => Cow::Owned(self.repr()),
        }
    }

    /// `repr(value)`.
    pub(super) fn repr(&self) -> String {
        let mut shown = String::new();
        self.write_repr(&mut shown);
        shown
    }

    fn write_repr(&self, shown: &mut String) {
        match self {
            Self::Null => shown.push_str("None"),
            Self::Bool(true) => shown.push_str("True"),
            Self::Bool(false) => shown.push_str("False"),
            Self::Int(number) => shown.push_str(&number.to_string()),
            Self::Float(number) => shown.push_str(&python_float(*number)),
            Self::Str(text) => write_quoted(text, shown),
            Self::List(elements) => {
                shown.push('[');
                for (index, element) in elements.iter().enumerate() {
                    shown.push_str(if index == 0 { "" } else { ", " });
                    element.write_repr(shown);
                }
                shown.push(']');
            }
            Self::Dict(entries) => {
                shown.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    shown.push_str(if index == 0 { "" } else { ", " });
                    write_quoted(key, shown);
                    shown.push_str(": ");
                    value.write_repr(shown);
                }
                shown.push('}');
            }
        }
    }
}

/// What a number is worth, comparable and hashable: a whole float is its integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Worth {
    Int(i128),
    Bits(u64),
}

impl Worth {
    fn of(number: f64) -> Self {
        /// Below 2^126 a whole double is written out without loss.
        const LIMIT: f64 = 8.5e37;
        if number.fract() == 0.0
            && number.abs() < LIMIT
            && let Ok(whole) = format!("{number:.0}").parse()
        {
            return Self::Int(whole);
        }
        Self::Bits(number.to_bits())
    }
}

fn write_quoted(text: &str, shown: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    shown.push(quote);
    for character in text.chars() {
        match character {
            '\\' => shown.push_str("\\\\"),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ if character == quote => {
                shown.push('\\');
                shown.push(quote);
            }
            _ if is_printable(character) => shown.push(character),
            _ => {
                let number = u32::from(character);
                let escaped = match number {
                    0..0x100 => write!(shown, "\\x{number:02x}"),
                    0x100..0x1_0000 => write!(shown, "\\u{number:04x}"),
                    _ => write!(shown, "\\U{number:08x}"),
                };
                debug_assert!(escaped.is_ok(), "a string takes everything");
            }
        }
    }
    shown.push(quote);
}

impl Serialize for PyValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Int(number) => serializer.serialize_i128(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Str(text) => serializer.serialize_str(text),
            Self::List(elements) => serializer.collect_seq(elements),
            Self::Dict(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for PyValue<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PyVisitor)
    }
}

/// Text that borrows where it can; for keys.
pub(super) struct Key<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = deserializer.deserialize_str(PyVisitor)?;
        Ok(Self(if let PyValue::Str(text) = key {
            text
        } else {
            Cow::Owned(key.repr())
        }))
    }
}

struct PyVisitor;

impl<'de> Visitor<'de> for PyVisitor {
    type Value = PyValue<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(PyValue::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(PyValue::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(PyValue::Int(i128::from(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(PyValue::Int(i128::from(value)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(PyValue::Float(value))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(PyValue::Str(Cow::Borrowed(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(PyValue::Str(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(PyValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries: Vec<(Cow<'de, str>, PyValue<'de>)> = Vec::new();
        while let Some((Key(key), value)) = map.next_entry::<Key<'de>, PyValue<'de>>()? {
            match entries.iter_mut().find(|(earlier, _)| *earlier == key) {
                Some((_, earlier)) => *earlier = value,
                None => entries.push((key, value)),
            }
        }
        Ok(PyValue::Dict(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_python_shows_them() {
        let cases = [
            (r#""a""#, "'a'"),
            (r#""it's""#, "\"it's\""),
            (r#""it's \"x\"""#, r#"'it\'s "x"'"#),
            (
                r#""\\\n\t\u0000\u00a0\u200d\ud83d\ude00\udb40\udc01""#,
                r"'\\\n\t\x00\xa0\u200d😀\U000e0001'",
            ),
            ("80.0", "80.0"),
            ("1e16", "1e+16"),
            ("123456789012345.6", "123456789012345.6"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("1.5e300", "1.5e+300"),
            ("-0.0", "-0.0"),
            ("18446744073709551615", "18446744073709551615"),
            (r#"[null, true, {"a": []}]"#, "[None, True, {'a': []}]"),
        ];
        for (json, expected) in cases {
            let value: PyValue<'_> = serde_json::from_str(json).unwrap();
            assert_eq!(value.repr(), expected, "{json}");
        }
    }

    #[test]
    fn numbers_are_equal_by_worth() {
        let equal = |a: &str, b: &str| {
            let (a, b): (PyValue<'_>, PyValue<'_>) = (
                serde_json::from_str(a).unwrap(),
                serde_json::from_str(b).unwrap(),
            );
            a.equals(&b)
        };
        assert!(equal("1", "1.0") && equal("true", "1") && equal("0", "-0.0"));
        assert!(equal(r#"{"a": 1, "b": [2]}"#, r#"{"b": [2.0], "a": true}"#));
        assert!(!equal("1", "\"1\"") && !equal("null", "0") && !equal("1.5", "1.25"));
    }
}
