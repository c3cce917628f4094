//! A pushed credential as a row.

use serde::Serialize;
use tvtfleet_bus::trust::fingerprint;
use tvtfleet_proto::model::push::CredentialView;
use tvtfleet_proto::model::time::UtcMillis;

use crate::output::Row;

/// One site's row.
#[derive(Default, Serialize)]
pub(super) struct CredentialRow {
    site: String,
    label: String,
    version: u64,
    state: String,
    /// The error code of a refusal.
    reason: Option<String>,
    pushed_by: String,
    pushed_at: String,
    not_after: String,
    answered_at: Option<String>,
    /// Of the agent's key that it is sealed to.
    fingerprint: String,
}

impl From<&CredentialView> for CredentialRow {
    fn from(view: &CredentialView) -> Self {
        Self {
            site: view.site.to_string(),
            label: view.label.to_string(),
            version: view.version,
            state: view.state.to_string(),
            reason: view.reason.map(|code| code.to_string()),
            pushed_by: view.pushed_by.clone(),
            pushed_at: view.pushed_at.to_string(),
            not_after: view.not_after.to_string(),
            answered_at: view.answered_at.as_ref().map(UtcMillis::to_string),
            fingerprint: fingerprint(&view.reader),
        }
    }
}

impl Row for CredentialRow {
    const NOUN: &'static str = "credentials";
    const HEADS: &'static [&'static str] = &[
        "SITE",
        "LABEL",
        "VERSION",
        "STATE",
        "REASON",
        "BY",
        "PUSHED",
        "FINGERPRINT",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.site.clone(),
            self.label.clone(),
            self.version.to_string(),
            self.state.clone(),
            self.reason.clone().unwrap_or_default(),
            self.pushed_by.clone(),
            self.pushed_at.clone(),
            self.fingerprint.clone(),
        ]
    }
}
