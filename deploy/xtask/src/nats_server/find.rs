//! Looking for a nats-server.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};

use super::fetch;
use super::version::Version;

/// The variable that names a binary to be used.
pub const VARIABLE: &str = "TVTFLEET_NATS_SERVER";

/// Where to look, and for what.
#[derive(Clone, Debug)]
pub struct Options {
    /// Exactly this version; otherwise the default or any that is new enough.
    pub version: Option<Version>,
    /// The binary that somebody has set, [`VARIABLE`]; nothing else is looked at.
    pub configured: Option<PathBuf>,
    /// The folder below which fetched servers lie, `target/tools`.
    pub tools: PathBuf,
    /// The folders of `PATH`.
    pub path: Vec<PathBuf>,
}

impl Options {
    /// Looks where the environment says. A version that is asked for wins over [`VARIABLE`].
    #[must_use]
    pub fn from_environment(version: Option<Version>) -> Self {
        let configured = env::var_os(VARIABLE)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from);
        let path = env::var_os("PATH").map(|path| env::split_paths(&path).collect());
        Self {
            version,
            configured: if version.is_none() { configured } else { None },
            tools: target_folder().join("tools"),
            path: path.unwrap_or_default(),
        }
    }

    pub(super) fn folder(&self, version: Version) -> PathBuf {
        self.tools.join(format!("nats-server-{version}"))
    }
}

/// Looks for a server and fetches one where there is none.
///
/// # Errors
///
/// The server that [`VARIABLE`] names cannot be used, or none can be fetched; the text says how to
/// get one.
pub fn find_or_fetch(options: &Options) -> Result<PathBuf> {
    if let Some(found) = find(options)? {
        return Ok(found);
    }
    let version = options.version.unwrap_or(Version::DEFAULT);
    fetch::fetch(version, &options.folder(version)).with_context(|| {
        format!(
            "no nats-server {version} found and none could be fetched; install nats-server {} or newer \
             (https://nats.io/download, or your system's packages) and put it into PATH or name it in {VARIABLE}",
            Version::FLOOR
        )
    })
}

/// Looks for a server: [`VARIABLE`], then the fetched ones (the default version first, else the
/// newest), then `PATH`.
///
/// # Errors
///
/// The server that [`VARIABLE`] names does not run or is too old.
pub fn find(options: &Options) -> Result<Option<PathBuf>> {
    if let Some(configured) = &options.configured {
        let version = Version::of(configured).with_context(|| format!("{VARIABLE} names it"))?;
        if version < Version::FLOOR {
            bail!(
                "{VARIABLE} names nats-server {version}, but {} or newer is needed",
                Version::FLOOR
            );
        }
        return Ok(Some(configured.clone()));
    }
    let fits = |binary: &Path| {
        Version::of(binary).is_ok_and(|version| match options.version {
            Some(wanted) => version == wanted,
            None => version >= Version::FLOOR,
        })
    };
    let in_path = options.path.iter().map(|folder| folder.join("nats-server"));
    Ok(fetched(options)
        .into_iter()
        .chain(in_path)
        .find(|binary| binary.is_file() && fits(binary)))
}

/// The fetched servers that may do, best first.
fn fetched(options: &Options) -> Vec<PathBuf> {
    if let Some(version) = options.version {
        return vec![options.folder(version).join("nats-server")];
    }
    let mut versions: Vec<Version> = std::fs::read_dir(&options.tools)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            entry
                .ok()?
                .file_name()
                .to_str()?
                .strip_prefix("nats-server-")?
                .parse()
                .ok()
        })
        .collect();
    versions.sort_by_key(|version| (*version == Version::DEFAULT, *version));
    versions
        .into_iter()
        .rev()
        .map(|version| options.folder(version).join("nats-server"))
        .collect()
}

/// The folder that cargo builds into: where this program lies, else that of the workspace.
pub(crate) fn target_folder() -> PathBuf {
    // Cargo marks it for backup programs.
    let marked = |folder: &&Path| folder.join("CACHEDIR.TAG").is_file();
    let own = env::current_exe().ok();
    if let Some(found) = own.as_deref().and_then(|own| own.ancestors().find(marked)) {
        return found.to_owned();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // deploy/xtask lies two below the workspace.
    root.ancestors().nth(2).unwrap_or(root).join("target")
}

/// Says that a program is missing in words that help.
pub(super) fn missing(program: &str) -> anyhow::Error {
    anyhow!("cannot run {program}, which is needed to fetch nats-server")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn plant(folder: &Path, version: &str) -> PathBuf {
        std::fs::create_dir_all(folder).unwrap();
        let binary = folder.join("nats-server");
        // By a process of its own: a file that this one writes stays open in children that other tests
        // start at that moment, and cannot be run until they are gone.
        let written = Command::new("sh")
            .args([
                "-c",
                r#"printf '#!/bin/sh\necho "nats-server: v%s"\n' "$1" > "$2" && chmod 755 "$2""#,
            ])
            .args(["sh", version])
            .arg(&binary)
            .status()
            .unwrap();
        assert!(written.success());
        binary
    }

    fn options(root: &Path) -> Options {
        Options {
            version: None,
            configured: None,
            tools: root.join("tools"),
            path: vec![root.join("bin")],
        }
    }

    #[test]
    fn the_order_is_variable_tools_path() {
        let root = tempfile::tempdir().unwrap();
        let mut options = options(root.path());
        assert_eq!(find(&options).unwrap(), None);
        let in_path = plant(&root.path().join("bin"), "2.12.1");
        assert_eq!(find(&options).unwrap(), Some(in_path));
        let newer = plant(&options.folder(Version::new(2, 15, 1)), "2.15.1");
        assert_eq!(find(&options).unwrap(), Some(newer));
        let default = plant(&options.folder(Version::DEFAULT), "2.14.6");
        assert_eq!(find(&options).unwrap(), Some(default));
        let own = plant(&root.path().join("own"), "2.11.0");
        options.configured = Some(own.clone());
        assert_eq!(find(&options).unwrap(), Some(own));
    }

    #[test]
    fn old_servers_do_not_count() {
        let root = tempfile::tempdir().unwrap();
        let mut options = options(root.path());
        let old = plant(&options.folder(Version::new(2, 10, 26)), "2.10.26");
        plant(&root.path().join("bin"), "2.9.10");
        assert_eq!(find(&options).unwrap(), None);
        options.configured = Some(old.clone());
        assert!(
            find(&options)
                .unwrap_err()
                .to_string()
                .contains("2.11.0 or newer")
        );
        options.configured = None;
        options.version = Some(Version::new(2, 10, 26));
        assert_eq!(
            find(&options).unwrap(),
            Some(old),
            "unless exactly that one is asked for"
        );
    }

    #[test]
    fn a_set_variable_that_leads_nowhere_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        plant(&root.path().join("bin"), "2.14.6");
        let options = Options {
            configured: Some(root.path().join("gone")),
            ..options(root.path())
        };
        assert!(find(&options).is_err());
    }
}
