//! The sealing keys of agents that an operator has pushed credentials to: a coordinator that gives
//! another key for a site, its own perhaps, is noticed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::id::SiteId;

use crate::error::CliError;
use crate::files;

/// The file's name, beside the operator's credentials file.
const NAME: &str = "known-agents.json";
/// The largest such file, in bytes.
const FILE_MAX: u64 = 16 * 1024 * 1024;

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    schema: u32,
    /// By `tenant/site`.
    agents: BTreeMap<String, String>,
}

/// The keys that are known, by site.
pub(crate) struct KnownAgents {
    path: PathBuf,
    text: Text,
    changed: bool,
}

impl KnownAgents {
    /// Reads those of the operator whose credentials file this is; none where there is no file yet.
    ///
    /// # Errors
    ///
    /// `config.unreadable`, `config.invalid`.
    pub(crate) fn beside(credentials: &Path) -> Result<Self, CliError> {
        let path = credentials.with_file_name(NAME);
        let shown = path.display();
        let text = match files::read(&path, FILE_MAX) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                let text = format!("{shown} is no list of agents' keys");
                CliError::new(ErrorCode::ConfigInvalid, text).because(&error)
            })?,
            Err(error) if error.is_missing() => Text::default(),
            Err(error) => {
                let text = format!("cannot read {shown}");
                return Err(error.about(ErrorCode::ConfigUnreadable, text));
            }
        };
        Ok(Self {
            path,
            text,
            changed: false,
        })
    }

    /// The key of a site's agent.
    pub(crate) fn key(&self, site: &SiteId) -> Option<&String> {
        self.text.agents.get(&site.to_string())
    }

    /// Takes a key as that of the site's agent.
    pub(crate) fn learn(&mut self, site: &SiteId, key: &str) {
        self.text.agents.insert(site.to_string(), key.to_owned());
        self.changed = true;
    }

    /// Writes what was learned.
    ///
    /// # Errors
    ///
    /// `output.unwritable`, `internal`.
    pub(crate) fn save(&self) -> Result<(), CliError> {
        if !self.changed {
            return Ok(());
        }
        let text = Text {
            schema: crate::output::SCHEMA,
            agents: self.text.agents.clone(),
        };
        let bytes = serde_json::to_vec_pretty(&text).map_err(|error| {
            CliError::new(ErrorCode::Internal, "the agents' keys cannot be written").because(&error)
        })?;
        files::write_mode(&self.path, &bytes, 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kept_beside_the_operators_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("operator.creds");
        let site = "acme/depot".parse().unwrap();
        let mut known = KnownAgents::beside(&file).unwrap();
        assert_eq!(known.key(&site), None);
        known.learn(&site, "XONE");
        known.save().unwrap();
        let known = KnownAgents::beside(&file).unwrap();
        assert_eq!(known.key(&site).map(String::as_str), Some("XONE"));
        std::fs::write(folder.path().join(NAME), "{").unwrap();
        assert!(KnownAgents::beside(&file).is_err());
    }
}
