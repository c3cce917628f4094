//! The programs that are measured, built as this one is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A folder with built programs.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
}

/// The packages whose programs are measured. Always built together, since cargo would build their
/// dependencies anew for each other set.
const PACKAGES: [&str; 4] = ["tvt-agent", "tvt-coordinator", "tvtctl", "tvt-sim"];

impl Programs {
    /// Builds the programs with the profile that this program was built with.
    ///
    /// # Errors
    ///
    /// cargo cannot be run, or fails.
    pub fn build() -> Result<Self> {
        let programs = Self::as_built()?;
        let target = programs.folder.parent();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build
            .args(["build", "--quiet", "--locked", "--bins", "--target-dir"])
            .arg(target.context("the target folder is unknown")?)
            .current_dir(root());
        if is_release(&programs.folder) {
            build.arg("--release");
        }
        for package in PACKAGES {
            build.args(["--package", package]);
        }
        let status = build
            .stdin(Stdio::null())
            .status()
            .context("cannot run cargo")?;
        if !status.success() {
            bail!("the programs cannot be built ({status})");
        }
        Ok(programs)
    }

    /// Takes the programs as they lie beside this one.
    ///
    /// # Errors
    ///
    /// The system does not say where this program lies.
    pub fn as_built() -> Result<Self> {
        let own = own()?;
        let folder = own.parent().context("this program lies nowhere")?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// The path of a program.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The path of this program.
///
/// # Errors
///
/// The system does not say.
pub fn own() -> Result<PathBuf> {
    std::env::current_exe().context("this program cannot find itself")
}

/// Whether the figures are worth something: those of a build without optimisation are not.
///
/// # Errors
///
/// The system does not say where this program lies.
pub fn optimised() -> Result<bool> {
    Ok(own()?.parent().is_some_and(is_release))
}

fn is_release(folder: &Path) -> bool {
    folder.ends_with("release")
}

/// The checkout's top folder.
#[must_use]
pub fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own)
}
