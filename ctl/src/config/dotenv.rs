//! The `.env` file of the working directory.

use std::collections::BTreeMap;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::secret::Secret;

use crate::env::{self, Variable};
use crate::error::CliError;
use crate::files;
use crate::io::Io;

/// The largest `.env` file, in bytes.
const SIZE_MAX: u64 = 256 * 1024;

/// What the `.env` file says about the variables that it may set.
#[derive(Debug, Default)]
pub(super) struct DotEnv {
    // A password may be among them.
    values: BTreeMap<&'static str, Secret>,
}

impl DotEnv {
    /// Reads `.env` in the working directory. Something else of that name, such as a folder, is ignored.
    ///
    /// # Errors
    ///
    /// `config.unreadable` or `config.invalid`. No part of the file is shown: it may hold a password.
    pub(super) fn read(io: &Io) -> Result<Self, CliError> {
        let path = io.cwd.join(".env");
        if !path.is_file() {
            return Ok(Self::default());
        }
        let bytes = files::read(&path, SIZE_MAX)
            .map_err(|error| error.about(ErrorCode::ConfigUnreadable, "cannot read .env"))?;
        let mut values = BTreeMap::new();
        for item in dotenvy::from_read_iter(bytes.as_slice()) {
            let (name, value) = item.map_err(|error| unreadable(&bytes, &error))?;
            let known = env::ALL
                .iter()
                .find(|variable| variable.dotenv && variable.name == name);
            if let Some(variable) = known.filter(|_| !value.is_empty()) {
                values.insert(variable.name, Secret::new(value));
            }
        }
        if values.contains_key(env::PASSWORD.name) && files::is_exposed(&path) {
            io.warn(".env holds a password and can be read by other users; chmod 600 it");
        }
        Ok(Self { values })
    }

    pub(super) fn get(&self, variable: Variable) -> Option<&str> {
        self.values.get(variable.name).map(Secret::expose)
    }
}

fn unreadable(bytes: &[u8], error: &dotenvy::Error) -> CliError {
    let mut message = ".env is not made of lines of the form NAME=VALUE".to_owned();
    if let dotenvy::Error::LineParse(line, _) = error {
        let text = String::from_utf8_lossy(bytes);
        if let Some(before) = text.lines().position(|candidate| candidate == line) {
            let number = before.saturating_add(1);
            message = format!("line {number} of .env is not of the form NAME=VALUE");
        }
    }
    CliError::new(ErrorCode::ConfigInvalid, message)
        .hint("put values with blanks, # or $ into single quotes")
}
