//! Reading values that people and other programs wrote: numbers as text, text as numbers, null.
//!
//! pytvt hands the values of its HTTP bridge through unchanged, so its files hold all of these.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::encoding::truncated;
use super::record::ChannelKey;

/// Text; null is empty, numbers and truth values are written out.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'de, str>, D::Error> {
    Ok(match deserializer.deserialize_any(ScalarVisitor)? {
        Scalar::Null => Cow::Borrowed(""),
        Scalar::Text(text) => text,
        Scalar::Whole(number) => Cow::Owned(number.to_string()),
        Scalar::Fraction(number) => Cow::Owned(number.to_string()),
        Scalar::Truth(truth) => Cow::Borrowed(if truth { "true" } else { "false" }),
    })
}

/// As [`text`], where null and absence are the same.
pub(crate) fn optional_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Cow<'de, str>>, D::Error> {
    Ok(match deserializer.deserialize_any(ScalarVisitor)? {
        Scalar::Null => None,
        Scalar::Text(text) => Some(text),
        Scalar::Whole(number) => Some(Cow::Owned(number.to_string())),
        Scalar::Fraction(number) => Some(Cow::Owned(number.to_string())),
        Scalar::Truth(truth) => Some(Cow::Borrowed(if truth { "true" } else { "false" })),
    })
}

/// A whole number; text that is none, null and numbers out of range are 0.
pub(crate) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Ok(optional_whole(deserializer)?.unwrap_or(0))
}

/// As [`whole`], where everything that is no number is absent.
pub(crate) fn optional_whole<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    Ok(match deserializer.deserialize_any(ScalarVisitor)? {
        Scalar::Null => None,
        Scalar::Text(text) => text.trim().parse().ok(),
        Scalar::Whole(number) => Some(number),
        Scalar::Fraction(number) => truncated(number),
        Scalar::Truth(truth) => Some(i64::from(truth)),
    })
}

/// A truth value; `"true"`, `"yes"` and non-zero numbers are true.
pub(crate) fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(match deserializer.deserialize_any(ScalarVisitor)? {
        Scalar::Null => false,
        Scalar::Text(text) => {
            let text = text.trim();
            ["true", "yes", "1", "ok"]
                .iter()
                .any(|word| text.eq_ignore_ascii_case(word))
        }
        Scalar::Whole(number) => number != 0,
        Scalar::Fraction(number) => number != 0.0,
        Scalar::Truth(truth) => truth,
    })
}

/// A list of objects; null is empty, and elements that are no objects are skipped.
pub(crate) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(ListVisitor(PhantomData))
}

/// A list of texts; null is empty.
pub(crate) fn texts<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Cow<'de, str>>, D::Error> {
    struct Element<'a>(Cow<'a, str>);
    impl<'de> Deserialize<'de> for Element<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            text(deserializer).map(Self)
        }
    }
    let elements: Option<Vec<Element<'de>>> = Option::deserialize(deserializer)?;
    Ok(elements
        .unwrap_or_default()
        .into_iter()
        .map(|Element(text)| text)
        .collect())
}

/// An object; everything else counts as an empty one.
pub(crate) fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(deserializer
        .deserialize_any(ObjectVisitor(PhantomData))?
        .unwrap_or_default())
}

impl<'de: 'a, 'a> Deserialize<'de> for ChannelKey<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match deserializer.deserialize_any(ScalarVisitor)? {
            Scalar::Null => Self::default(),
            Scalar::Text(text) => Self::Text(text),
            Scalar::Whole(number) => Self::Number(number),
            Scalar::Fraction(number) => match truncated(number) {
                Some(whole) if number.fract() == 0.0 => Self::Number(whole),
                Some(_) | None => Self::Text(Cow::Owned(number.to_string())),
            },
            Scalar::Truth(truth) => Self::Number(i64::from(truth)),
        })
    }
}

enum Scalar<'a> {
    Null,
    Text(Cow<'a, str>),
    Whole(i64),
    Fraction(f64),
    Truth(bool),
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number or null")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Truth(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Whole(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or_else(
            |_| Scalar::Text(Cow::Owned(value.to_string())),
            Scalar::Whole,
        ))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Fraction(value))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(value.to_owned())))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element::<ObjectOrNothing<T>>()? {
            list.extend(element.0);
        }
        Ok(list)
    }
}

struct ObjectOrNothing<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ObjectOrNothing<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(ObjectVisitor(PhantomData))
            .map(Self)
    }
}

/// Reads an object, and nothing from any other value.
struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Some)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
}
