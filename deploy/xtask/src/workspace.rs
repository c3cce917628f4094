//! Where things lie in this checkout.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The checkout's top folder.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own)
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => root().join(target),
        None => root().join("target"),
    }
}

/// Runs cargo in the checkout and fails if it does.
pub(crate) fn cargo(arguments: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(arguments)
        .current_dir(root())
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("cargo {} failed ({status})", arguments.join(" "));
    }
    Ok(())
}

/// Builds the release binaries and returns the folder that holds them.
pub(crate) fn release_binaries() -> Result<PathBuf> {
    cargo(&[
        "build",
        "--release",
        "--locked",
        "--package",
        "tvt-agent",
        "--package",
        "tvt-coordinator",
        "--package",
        "tvtctl",
        "--package",
        "tvt-sim",
        "--bins",
    ])?;
    Ok(target().join("release"))
}
