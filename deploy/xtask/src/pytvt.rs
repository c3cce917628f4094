//! The published pytvt, to compare with: fetched into the tools folder when it is first needed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::nats_server::target_folder;

/// The release that is compared with.
pub const VERSION: &str = "0.5.1";

/// An installed pytvt.
#[derive(Clone, Debug)]
pub struct Pytvt {
    folder: PathBuf,
}

impl Pytvt {
    /// Finds or fetches it.
    ///
    /// # Errors
    ///
    /// There is no Python with venv, or the package index cannot be reached.
    pub fn find_or_fetch() -> Result<Self> {
        let folder = target_folder()
            .join("tools")
            .join(format!("pytvt-{VERSION}"));
        let found = Self { folder };
        if !found.works() {
            found.fetch()?;
        }
        if found.works() {
            Ok(found)
        } else {
            bail!("the fetched pytvt does not run");
        }
    }

    /// One of its programs, such as `pytvt-diff` or `python`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    fn works(&self) -> bool {
        Command::new(self.program("pytvt"))
            .arg("--help")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn fetch(&self) -> Result<()> {
        run(
            Path::new("python3"),
            &["-m", "venv", "--clear", &self.folder.to_string_lossy()],
        )?;
        let package = format!("pytvt=={VERSION}");
        let pip = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            &package,
        ];
        run(&self.program("python"), &pip)
    }
}

fn run(program: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        bail!(
            "{} {} failed: {last}",
            program.display(),
            arguments.join(" ")
        );
    }
    Ok(())
}
