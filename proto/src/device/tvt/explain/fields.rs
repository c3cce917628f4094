//! Short ways to write fields.

use super::unit::{Field, FieldValue};

pub(super) fn number(name: &'static str, value: impl Into<u64>) -> Field {
    Field {
        name,
        value: FieldValue::Number(value.into()),
    }
}

pub(super) fn text(name: &'static str, value: impl Into<String>) -> Field {
    Field {
        name,
        value: FieldValue::Text(value.into()),
    }
}

pub(super) fn lines(name: &'static str, value: impl Into<String>) -> Field {
    Field {
        name,
        value: FieldValue::Lines(value.into()),
    }
}

/// A number, where there is one.
pub(super) fn maybe(name: &'static str, value: Option<impl Into<u64>>) -> Option<Field> {
    value.map(|value| number(name, value))
}
