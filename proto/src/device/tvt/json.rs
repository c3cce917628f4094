//! Reading JSON from a device within bounds on depth and number of values.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Number, Value};

use super::limits::{JSON_DEPTH, JSON_VALUES};

/// Members up to which an object is searched from front to back when one is added.
const FEW_MEMBERS: usize = 32;

/// A document of a device, which borrows its texts where they hold no escapes.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    /// Nothing, or a number that is none.
    Null,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Self>),
    /// An object.
    Object(Object<'a>),
}

/// The members of an object in the document's order, each name once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, Json<'a>)>,
}

/// Why a document was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// It nests too deep.
    #[error("the JSON nests deeper than {JSON_DEPTH} levels")]
    Deep,
    /// It has too many values.
    #[error("the JSON has more than {JSON_VALUES} values")]
    Large,
    /// It is no JSON.
    #[error("the JSON cannot be parsed")]
    Malformed,
}

impl<'a> Json<'a> {
    /// Reads a document. Of members with the same name the last counts.
    ///
    /// # Errors
    ///
    /// A document that is malformed, or beyond [`JSON_DEPTH`] or [`JSON_VALUES`].
    pub fn read(text: &'a str) -> Result<Self, JsonFault> {
        check_bounds(text.as_bytes())?;
        serde_json::from_str(text).map_err(|_| JsonFault::Malformed)
    }

    /// The object that this is.
    #[must_use]
    pub const fn as_object(&self) -> Option<&Object<'a>> {
        if let Self::Object(object) = self {
            Some(object)
        } else {
            None
        }
    }

    /// The elements of the array that this is.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(list) = self {
            Some(list)
        } else {
            None
        }
    }
}

impl<'a> Object<'a> {
    /// The member of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        let named = self.members.iter().find(|(known, _)| known == name);
        named.map(|(_, value)| value)
    }

    /// The members' values.
    pub fn values(&self) -> impl Iterator<Item = &Json<'a>> {
        self.members.iter().map(|(_, value)| value)
    }

    /// Whether there are no members.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Adds a member, unless there is one of its name.
    pub(super) fn add(&mut self, name: Cow<'a, str>, value: Json<'a>) {
        if self.get(&name).is_none() {
            self.members.push((name, value));
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(truth))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Number::from_f64(number).map_or(Json::Null, Json::Number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        // Where each name stands; made once an object has so many that searching them takes long.
        let mut places: HashMap<Cow<'de, str>, usize> = HashMap::new();
        while let Some((Name(name), value)) = entries.next_entry()? {
            if members.len() == FEW_MEMBERS {
                let named = members.iter().map(|(name, _)| name.clone());
                places = named.zip(0..).collect();
            }
            let known = if members.len() < FEW_MEMBERS {
                members.iter().position(|(known, _)| *known == name)
            } else {
                places.get(&name).copied()
            };
            if let Some((_, member)) = known.and_then(|at| members.get_mut(at)) {
                *member = value;
                continue;
            }
            if members.len() >= FEW_MEMBERS {
                places.insert(name.clone(), members.len());
            }
            members.push((name, value));
        }
        Ok(Json::Object(Object { members }))
    }
}

/// A member's name, borrowed where it can be.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameReader;
        impl<'de> Visitor<'de> for NameReader {
            type Value = Name<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(NameReader)
    }
}

/// Written as it would be read.
impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => serializer.collect_seq(list),
            Self::Object(object) => {
                let mut map = serializer.serialize_map(Some(object.members.len()))?;
                for (name, value) in &object.members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

/// Reads a document as values that can be changed. Invalid UTF-8 is replaced.
pub(super) fn read_changeable(bytes: &[u8]) -> Result<Value, JsonFault> {
    check_bounds(bytes)?;
    let text = String::from_utf8_lossy(bytes);
    serde_json::from_str(&text).map_err(|_| JsonFault::Malformed)
}

/// Values that an array or object of any size counts as: its first allocation has room for four.
const CONTAINER: usize = 4;

/// Counts brackets and separators outside of strings, before anything is allocated for a value.
fn check_bounds(bytes: &[u8]) -> Result<(), JsonFault> {
    let (mut depth, mut values) = (0_usize, 1_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in bytes {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth = depth.saturating_add(1);
                values = values.saturating_add(CONTAINER);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => values = values.saturating_add(1),
            _ => {}
        }
        if depth > JSON_DEPTH {
            return Err(JsonFault::Deep);
        }
        if values > JSON_VALUES {
            return Err(JsonFault::Large);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn depth_and_size_are_bounded_before_parsing() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(Json::read(&nested(JSON_DEPTH)).is_ok());
        assert_eq!(Json::read(&nested(JSON_DEPTH + 1)), Err(JsonFault::Deep));
        assert_eq!(Json::read(&nested(200_000)), Err(JsonFault::Deep));
        let wide = format!("[0{}]", ",0".repeat(JSON_VALUES));
        assert_eq!(Json::read(&wide), Err(JsonFault::Large));
        let fine = format!("[0{}]", ",0".repeat(JSON_VALUES - CONTAINER - 1));
        assert!(Json::read(&fine).is_ok());
        let empty = format!("[[]{}]", ",[]".repeat(JSON_VALUES / CONTAINER));
        assert_eq!(Json::read(&empty), Err(JsonFault::Large));
        assert_eq!(Json::read("{\"a\":"), Err(JsonFault::Malformed));
    }

    #[test]
    fn brackets_in_strings_are_text() {
        let text = format!("[\"{}\\\"{}\"]", "[".repeat(100), ",".repeat(100_000));
        assert!(Json::read(&text).is_ok());
    }

    #[test]
    fn of_members_with_one_name_the_last_counts_in_the_first_place() {
        let document = Json::read(r#"{"a": 1, "b": 2, "\u0061": 3}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&document).unwrap(),
            r#"{"a":3,"b":2}"#
        );
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,8}|[\"\\\\\n]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 200, 60, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::vec(("[a-c]{1,3}", inner), 0..60)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Another reader sees the same, whatever the names and their number.
        #[test]
        fn documents_are_read_as_serde_json_reads_them(value in document()) {
            let text = value.to_string();
            let theirs: Value = serde_json::from_str(&text).unwrap();
            let ours = Json::read(&text).unwrap();
            prop_assert_eq!(serde_json::to_string(&ours).unwrap(), theirs.to_string());
        }

        #[test]
        fn repeated_names_are_read_as_serde_json_reads_them(
            members in prop::collection::vec(("[a-d]{1,2}", any::<u8>()), 0..100),
        ) {
            let listed: Vec<String> =
                members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            let text = format!("{{{}}}", listed.join(","));
            let theirs: Value = serde_json::from_str(&text).unwrap();
            let ours = Json::read(&text).unwrap();
            prop_assert_eq!(serde_json::to_string(&ours).unwrap(), theirs.to_string());
        }
    }
}
