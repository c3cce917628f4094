//! The bridge script, under Node.
//!
//! The script wants user and password in its arguments, where every user of a computer can read them.
//! So Node runs a launcher of ours that reads them from stdin, puts them into the arguments that the
//! script sees, and then runs the script as it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout_at;
use tvtfleet_proto::device::bridge::{self, BODY_MAX, DeviceRequest};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::report::Failure;
use tvtfleet_proto::model::secret::Secret;

use crate::device::child::{ChildGroup, command};
use crate::device::connect::Seconds;
use crate::device::vendor::{OLD_SDK_PATH_VARIABLE, SDK_PATH_VARIABLE, VendorSettings};

/// The oldest Node that has what scripts use.
const NODE_MIN: u32 = 18;
/// How much of stderr is kept, in bytes: its end.
const STDERR_MAX: usize = 16 * 1024;
/// How much of it is shown, in characters.
const STDERR_SHOWN: usize = 500;
/// Time for a script that has closed its pipes to be gone.
const GONE: Duration = Duration::from_secs(1);

/// Reads one JSON object from stdin and runs the script as if it had been in the arguments.
const LAUNCHER: &str = "\
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
const script = resolve(process.argv[1]);
const job = JSON.parse(readFileSync(0, 'utf8'));
process.argv = [process.execPath, script, job.ip, String(job.port), job.username, job.password];
await import(pathToFileURL(script).href);
";

/// An interpreter that can run scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interpreter {
    pub(crate) path: PathBuf,
    /// As `v20.11.0`.
    pub(crate) version: String,
}

/// Finds Node and asks for its version.
///
/// # Errors
///
/// `sdk.unavailable`: it is missing, does not start, or is too old.
pub(crate) async fn find_node(settings: &VendorSettings) -> Result<Interpreter, Failure> {
    const ANSWERS: Duration = Duration::from_secs(5);
    let path = match &settings.node {
        Some(path) => path.clone(),
        None => {
            let search = std::env::var_os("PATH").unwrap_or_default();
            let mut places = std::env::split_paths(&search).map(|folder| folder.join("node"));
            let found = places.find(|path| path.is_file());
            found.ok_or_else(|| unavailable("node not found in PATH; install Node 18 or newer"))?
        }
    };
    let broken = |reason: &str| {
        let text = format!(
            "{} cannot be used: {reason}; install Node 18 or newer",
            path.display()
        );
        unavailable(&text)
    };
    let mut node = command(&path);
    node.arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut group = ChildGroup::start(&mut node).map_err(|error| broken(&error.to_string()))?;
    let output = group.pipes().1;
    let Some(output) = output else {
        return Err(broken("no pipe"));
    };
    let mut text = Vec::new();
    let mut output = output.take(256);
    let read = output.read_to_end(&mut text);
    let read = timeout_at((Instant::now() + ANSWERS).into(), read).await;
    if !matches!(read, Ok(Ok(_))) {
        return Err(broken("it does not say its version"));
    }
    let version = String::from_utf8_lossy(&text).trim().to_owned();
    let major = version
        .strip_prefix('v')
        .and_then(|rest| rest.split('.').next());
    match major.and_then(|major| major.parse::<u32>().ok()) {
        Some(major) if major >= NODE_MIN => Ok(Interpreter { path, version }),
        Some(_) => Err(broken(&format!("it is {version}"))),
        None => Err(broken("it does not say its version")),
    }
}

/// The script that is configured.
///
/// # Errors
///
/// `sdk.unavailable`: none is, or it is not there.
pub(crate) fn find_script(settings: &VendorSettings) -> Result<PathBuf, Failure> {
    let Some(path) = &settings.script else {
        let text = "no bridge script is configured; name one with TVT_SCAN_SCRIPT or scan_script";
        return Err(unavailable(text));
    };
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let path = match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.clone(),
    };
    let absent = |_| {
        let shown = path.display();
        let text = format!(
            "sdk-local bridge script not found at {shown}. Set TVT_SCAN_SCRIPT or scan_script"
        );
        unavailable(&text)
    };
    path.canonicalize().map_err(absent)
}

/// Runs the script for one device, until `until`, and gives its answer.
///
/// # Errors
///
/// `sdk.unavailable`, `sdk.timeout`, `sdk.crashed`, `sdk.protocol`, `bridge.too_large`.
pub(crate) async fn scan(
    settings: &VendorSettings,
    request: &DeviceRequest<'_>,
    until: Instant,
) -> Result<Vec<u8>, Failure> {
    let limit = until.saturating_duration_since(Instant::now());
    let script = find_script(settings)?;
    let node = find_node(settings).await?;
    let input = bridge::script_input(request)
        .map_err(|error| unavailable(&format!("no input for the script: {error}")))?;
    let mut command = command(&node.path);
    environment(&mut command, settings);
    if settings.script_argv {
        command
            .arg(&script)
            .arg(request.host)
            .arg(request.port.to_string())
            .arg(&request.credential.username)
            .arg(request.credential.password.expose())
            .stdin(Stdio::null());
    } else {
        command
            .args(["--input-type=module", "--eval", LAUNCHER, "--"])
            .arg(&script)
            .stdin(Stdio::piped());
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = ChildGroup::start(&mut command);
    let mut group = started.map_err(|error| {
        unavailable(&format!(
            "{} cannot be started: {error}",
            node.path.display()
        ))
    })?;
    let (stdin, stdout, stderr) = group.pipes();
    let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
        return Err(unavailable("no pipes to the script"));
    };
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A script that ends before it has read everything says why by itself.
            let _closed = stdin.write_all(&input).await;
        }
    };
    let run = async { tokio::join!(feed, capped(stdout), tail(stderr)) };
    let Ok(((), output, errors)) = timeout_at(until.into(), run).await else {
        let text = format!("Subprocess timeout after {}", Seconds(limit));
        return Err(sent(ErrorCode::SdkTimeout, text));
    };
    let status = group.ended(GONE).await;
    let errors = scrubbed(
        &String::from_utf8_lossy(&errors),
        &request.credential.password,
    );
    let Some(output) = output else {
        let text = format!("the script printed more than {BODY_MAX} bytes");
        return Err(sent(ErrorCode::BridgeTooLarge, text));
    };
    let output = String::from_utf8_lossy(&output);
    match bridge::payload(&output) {
        Ok(payload) => Ok(payload.as_bytes().to_vec()),
        Err(missing) => Err(silent(&missing.to_string(), &errors, status)),
    }
}

/// What the script may know of our environment.
fn environment(command: &mut tokio::process::Command, settings: &VendorSettings) {
    if let Some(value) = std::env::var_os("NODE_PATH") {
        command.env("NODE_PATH", value);
    }
    let Some(library) = &settings.library else {
        return;
    };
    command.env(SDK_PATH_VARIABLE, library);
    command.env(OLD_SDK_PATH_VARIABLE, library);
    let folder = if library.is_dir() {
        Some(library.as_path())
    } else {
        library.parent()
    };
    let mut search = OsString::from(folder.unwrap_or(Path::new("")));
    if let Some(old) = std::env::var_os("LD_LIBRARY_PATH") {
        search.push(":");
        search.push(old);
    }
    command.env("LD_LIBRARY_PATH", search);
}

/// Everything a pipe gives, or `None` where that is too much.
async fn capped(pipe: impl AsyncRead + Unpin) -> Option<Vec<u8>> {
    let most = BODY_MAX.saturating_add(1);
    let mut bytes = Vec::new();
    let mut pipe = pipe.take(u64::try_from(most).unwrap_or(u64::MAX));
    // What came before the pipe broke is what there is.
    let _broken = pipe.read_to_end(&mut bytes).await;
    (bytes.len() <= BODY_MAX).then_some(bytes)
}

/// The last bytes that a pipe gives.
async fn tail(mut pipe: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = vec![0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let over = kept.len().saturating_sub(STDERR_MAX);
        kept.drain(..over);
    }
    kept
}

/// The failure of a script without a payload.
fn silent(missing: &str, errors: &str, status: Option<ExitStatus>) -> Failure {
    use std::os::unix::process::ExitStatusExt;
    #[derive(Deserialize)]
    struct StartFailure {
        error: String,
    }
    if let Some(signal) = status.and_then(|status| status.signal()) {
        let text = format!("the bridge script was killed by signal {signal}");
        return sent(ErrorCode::SdkCrashed, text);
    }
    // A script that cannot start says so in one line.
    let said = errors
        .lines()
        .find_map(|line| serde_json::from_str::<StartFailure>(line.trim()).ok());
    if let Some(said) = said {
        return sent(ErrorCode::SdkProtocol, shown(&said.error));
    }
    let exit = match status.and_then(|status| status.code()) {
        None | Some(0) => String::new(),
        Some(code) => format!(" (exit status {code})"),
    };
    let text = format!("{missing}{exit}. stderr: {}", shown(errors));
    sent(ErrorCode::SdkProtocol, text)
}

fn shown(text: &str) -> String {
    let plain = text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c });
    plain.take(STDERR_SHOWN).collect()
}

/// The text without the password, in case a bridge repeats it.
pub(super) fn scrubbed(text: &str, password: &Secret) -> String {
    if password.is_empty() {
        text.to_owned()
    } else {
        text.replace(password.expose(), "***")
    }
}

fn unavailable(text: &str) -> Failure {
    Failure::new(ErrorCode::SdkUnavailable, text)
}

fn sent(code: ErrorCode, text: String) -> Failure {
    Failure {
        credentials_sent: true,
        ..Failure::new(code, text)
    }
}
