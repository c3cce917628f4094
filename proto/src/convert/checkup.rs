//! Checkups of `api.proto`.

use crate::model::checkup::{Checkup, Finding, Level};
use crate::wire::v1;

use super::field::{BadField, all, into_all};

impl TryFrom<v1::Finding> for Finding {
    type Error = BadField;

    fn try_from(wire: v1::Finding) -> Result<Self, BadField> {
        Ok(Self {
            // A newer coordinator may know more levels; what is not known is worth a look.
            level: wire.level.parse().unwrap_or(Level::Warn),
            area: wire.area,
            subject: wire.subject,
            text: wire.text,
            advice: wire.advice,
        })
    }
}

impl From<Finding> for v1::Finding {
    fn from(model: Finding) -> Self {
        Self {
            area: model.area,
            subject: model.subject,
            level: model.level.to_string(),
            text: model.text,
            advice: model.advice,
        }
    }
}

impl TryFrom<v1::Checkup> for Checkup {
    type Error = BadField;

    fn try_from(wire: v1::Checkup) -> Result<Self, BadField> {
        Ok(Self {
            findings: all(wire.findings)?,
        })
    }
}

impl From<Checkup> for v1::Checkup {
    fn from(model: Checkup) -> Self {
        Self {
            findings: into_all(model.findings),
        }
    }
}
