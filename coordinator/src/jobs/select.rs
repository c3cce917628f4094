//! Which devices a selector or a list request means: conditions over the tables `sites s` and
//! `devices d`.
//!
//! Pure: it writes the condition and its values, and the database evaluates it. Values are never
//! part of the text.

use tvtfleet_proto::model::discovery::Standing;
use tvtfleet_proto::model::id::{SiteId, TenantId};

/// A value that a condition compares with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A condition with its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    terms: Vec<String>,
    values: Vec<Value>,
}

impl Filter {
    /// Only these tenants; none is any.
    pub(crate) fn tenants(&mut self, tenants: &[TenantId]) {
        self.any_of("s.tenant", tenants.iter().map(ToString::to_string));
    }

    /// Only these sites; none is any.
    pub(crate) fn sites(&mut self, sites: &[SiteId]) {
        self.any_of(
            "s.tenant || '/' || s.name",
            sites.iter().map(ToString::to_string),
        );
    }

    /// Only devices that carry one of these labels, or whose site does; none is any.
    pub(crate) fn labels(&mut self, labels: &[String]) {
        let holders = labels
            .iter()
            .map(|label| self.value(label.clone()))
            .collect::<Vec<_>>();
        if !holders.is_empty() {
            let list = holders.join(", ");
            self.terms.push(format!(
                "(EXISTS (SELECT 1 FROM site_labels l WHERE l.site = s.id AND l.label IN ({list}))
                  OR EXISTS (SELECT 1 FROM device_labels l WHERE l.device = d.id AND l.label IN ({list})))"
            ));
        }
    }

    /// Only devices in whose search text this stands, in any case; empty is any.
    pub(crate) fn text(&mut self, text: &str) {
        let text = text.trim().to_lowercase();
        if !text.is_empty() {
            let holder = self.value(text);
            self.terms.push(format!("instr(d.search, {holder}) > 0"));
        }
    }

    /// Only devices that stand like one of these to what discoveries saw; none is any.
    pub(crate) fn standings(&mut self, standings: &[Standing]) {
        let terms: Vec<_> = standings
            .iter()
            .map(|standing| match standing {
                Standing::New => "d.added_by = s.searched_by",
                Standing::Gone => "d.gone_at IS NOT NULL",
                Standing::Moved => "d.moved_by = s.searched_by",
                Standing::Unverified => "d.trusted = 0",
            })
            .collect();
        if !terms.is_empty() {
            self.terms.push(format!("({})", terms.join(" OR ")));
        }
    }

    /// Another condition; `?` stands for each of the values in turn, of which there are as many.
    pub(crate) fn also(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        let mut values = values.into_iter();
        let mut term = String::with_capacity(condition.len());
        for character in condition.chars() {
            if character == '?' {
                if let Some(value) = values.next() {
                    term.push_str(&self.value(value));
                }
            } else {
                term.push(character);
            }
        }
        self.terms.push(format!("({term})"));
    }

    /// The condition as text.
    pub(crate) fn condition(&self) -> String {
        if self.terms.is_empty() {
            "1".to_owned()
        } else {
            self.terms.join(" AND ")
        }
    }

    /// The values, in the order of their numbers in the text.
    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }

    /// Adds a value and returns its place holder.
    pub(crate) fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    fn any_of(&mut self, column: &str, names: impl Iterator<Item = String>) {
        let holders = names.map(|name| self.value(name)).collect::<Vec<_>>();
        if !holders.is_empty() {
            self.terms
                .push(format!("{column} IN ({})", holders.join(", ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_filter_lets_all_pass() {
        let mut filter = Filter::default();
        filter.tenants(&[]);
        filter.sites(&[]);
        filter.labels(&[]);
        filter.text("  ");
        assert_eq!(
            (filter.condition().as_str(), filter.values()),
            ("1", &[][..])
        );
    }

    #[test]
    fn values_stay_out_of_the_text() {
        let mut filter = Filter::default();
        filter.tenants(&["acme".parse().unwrap()]);
        filter.labels(&["x' OR 1 --".into()]);
        filter.text(" NVR ");
        filter.also(
            "d.position > ? OR d.id = ?",
            [Value::Number(5), Value::Number(6)],
        );
        let text = filter.condition();
        assert!(!text.contains("OR 1"), "{text}");
        assert!(text.contains("s.tenant IN (?1)") && text.contains("d.position > ?4 OR d.id = ?5"));
        assert_eq!(filter.values().len(), 5);
        assert_eq!(filter.values()[2], Value::Text("nvr".into()));
    }
}
