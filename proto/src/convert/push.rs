//! `credential.proto`.

use crate::model::api::Page;
use crate::model::push::{
    CredentialAnswer, CredentialView, ListCredentials, ListSealingKeys, PushCredentials, SealingKey,
};
use crate::model::time::UtcMillis;
use crate::wire::v1;

use super::field::{
    BadField, all, all_parsed, credential, into_all, optional_code, parsed, required, text_of,
    texts, uuid,
};

impl TryFrom<v1::CredentialAnswer> for CredentialAnswer {
    type Error = BadField;

    fn try_from(wire: v1::CredentialAnswer) -> Result<Self, BadField> {
        Ok(Self {
            push: uuid("push", &wire.push)?,
            at: UtcMillis::new(wire.at_ms),
            refused: optional_code(&wire.refused),
        })
    }
}

impl From<CredentialAnswer> for v1::CredentialAnswer {
    fn from(model: CredentialAnswer) -> Self {
        Self {
            push: model.push.as_bytes().to_vec(),
            at_ms: model.at.millis(),
            refused: text_of(model.refused.as_ref()),
        }
    }
}

impl TryFrom<v1::PushCredentials> for PushCredentials {
    type Error = BadField;

    fn try_from(wire: v1::PushCredentials) -> Result<Self, BadField> {
        let pushes = wire.pushes.into_iter().map(|push| {
            let site = parsed("site", &push.site)?;
            Ok((site, required("push", push.push)?.into()))
        });
        Ok(Self {
            pushes: pushes.collect::<Result<_, BadField>>()?,
        })
    }
}

impl From<PushCredentials> for v1::PushCredentials {
    fn from(model: PushCredentials) -> Self {
        let pushes = model.pushes.into_iter().map(|(site, push)| v1::SitePush {
            site: site.to_string(),
            push: Some(push.into()),
        });
        Self {
            pushes: pushes.collect(),
        }
    }
}

impl TryFrom<v1::ListCredentials> for ListCredentials {
    type Error = BadField;

    fn try_from(wire: v1::ListCredentials) -> Result<Self, BadField> {
        Ok(Self {
            tenants: all_parsed("tenants", &wire.tenants)?,
            sites: all_parsed("sites", &wire.sites)?,
            label: credential(&wire.label)?,
            cursor: wire.cursor,
            limit: wire.limit,
        })
    }
}

impl From<ListCredentials> for v1::ListCredentials {
    fn from(model: ListCredentials) -> Self {
        Self {
            tenants: texts(&model.tenants),
            sites: texts(&model.sites),
            label: text_of(model.label.as_ref()),
            cursor: model.cursor,
            limit: model.limit,
        }
    }
}

impl TryFrom<v1::CredentialView> for CredentialView {
    type Error = BadField;

    fn try_from(wire: v1::CredentialView) -> Result<Self, BadField> {
        Ok(Self {
            push: uuid("push", &wire.push)?,
            site: parsed("site", &wire.site)?,
            label: parsed("label", &wire.label)?,
            version: wire.version,
            state: parsed("state", &wire.state)?,
            reason: optional_code(&wire.reason),
            pushed_by: wire.pushed_by,
            pushed_at: UtcMillis::new(wire.pushed_at_ms),
            not_after: UtcMillis::new(wire.not_after_ms),
            answered_at: wire.answered_at_ms.map(UtcMillis::new),
            reader: wire.reader,
        })
    }
}

impl From<CredentialView> for v1::CredentialView {
    fn from(model: CredentialView) -> Self {
        Self {
            push: model.push.as_bytes().to_vec(),
            site: model.site.to_string(),
            label: model.label.to_string(),
            version: model.version,
            state: model.state.to_string(),
            reason: text_of(model.reason.as_ref()),
            pushed_by: model.pushed_by,
            pushed_at_ms: model.pushed_at.millis(),
            not_after_ms: model.not_after.millis(),
            answered_at_ms: model.answered_at.map(UtcMillis::millis),
            reader: model.reader,
        }
    }
}

impl TryFrom<v1::CredentialPage> for Page<CredentialView> {
    type Error = BadField;

    fn try_from(wire: v1::CredentialPage) -> Result<Self, BadField> {
        Ok(Self {
            rows: all(wire.rows)?,
            next: wire.next,
        })
    }
}

impl From<Page<CredentialView>> for v1::CredentialPage {
    fn from(model: Page<CredentialView>) -> Self {
        Self {
            rows: into_all(model.rows),
            next: model.next,
        }
    }
}

impl TryFrom<v1::ListSealingKeys> for ListSealingKeys {
    type Error = BadField;

    fn try_from(wire: v1::ListSealingKeys) -> Result<Self, BadField> {
        Ok(Self {
            tenants: all_parsed("tenants", &wire.tenants)?,
            sites: all_parsed("sites", &wire.sites)?,
            cursor: wire.cursor,
            limit: wire.limit,
        })
    }
}

impl From<ListSealingKeys> for v1::ListSealingKeys {
    fn from(model: ListSealingKeys) -> Self {
        Self {
            tenants: texts(&model.tenants),
            sites: texts(&model.sites),
            cursor: model.cursor,
            limit: model.limit,
        }
    }
}

impl TryFrom<v1::SealingKey> for SealingKey {
    type Error = BadField;

    fn try_from(wire: v1::SealingKey) -> Result<Self, BadField> {
        Ok(Self {
            site: parsed("site", &wire.site)?,
            curve_key: wire.curve_key,
            user_key: wire.user_key,
            hostname: wire.hostname,
            enrolled_at: UtcMillis::new(wire.enrolled_at_ms),
        })
    }
}

impl From<SealingKey> for v1::SealingKey {
    fn from(model: SealingKey) -> Self {
        Self {
            site: model.site.to_string(),
            curve_key: model.curve_key,
            user_key: model.user_key,
            hostname: model.hostname,
            enrolled_at_ms: model.enrolled_at.millis(),
        }
    }
}

impl TryFrom<v1::SealingKeyPage> for Page<SealingKey> {
    type Error = BadField;

    fn try_from(wire: v1::SealingKeyPage) -> Result<Self, BadField> {
        Ok(Self {
            rows: all(wire.rows)?,
            next: wire.next,
        })
    }
}

impl From<Page<SealingKey>> for v1::SealingKeyPage {
    fn from(model: Page<SealingKey>) -> Self {
        Self {
            rows: into_all(model.rows),
            next: model.next,
        }
    }
}
