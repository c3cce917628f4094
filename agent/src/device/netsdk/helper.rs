//! A helper process: started, asked, and killed when its time is up.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::timeout_at;
use tvtfleet_proto::device::sdkpipe::{
    ANSWER_MAX, Answer, FrameReader, Hello, Library, REQUEST_MAX, Request, frame,
};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::report::Failure;
use zeroize::Zeroizing;

use super::library::Located;
use crate::device::child::{ChildGroup, command};
use crate::device::vendor::SDK_PATH_VARIABLE;

/// Time to load and start the library.
const HELLO: Duration = Duration::from_secs(15);
/// Time for the logout. What was learnt is learnt; a helper that needs longer is killed.
const LEAVE: Duration = Duration::from_secs(3);
/// Time for a helper that has closed its pipe to be gone.
const GONE: Duration = Duration::from_secs(1);
/// Bytes read at a time.
const READ_BUFFER: usize = 16 * 1024;

/// A running helper. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Helper {
    group: ChildGroup,
    input: ChildStdin,
    output: ChildStdout,
    reader: FrameReader,
}

impl Helper {
    /// Starts a helper and waits until it has loaded the library.
    ///
    /// # Errors
    ///
    /// `sdk.unavailable` where the program or the library cannot be used, else as [`Self::call`].
    pub(crate) async fn start(program: &Path, library: &Located) -> Result<(Self, Hello), Failure> {
        let mut command = command(program);
        command
            .arg(library.path())
            .env(SDK_PATH_VARIABLE, library.path())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What the library prints may hold anything, passwords as well.
            .stderr(Stdio::null());
        if let Some(folder) = library.folder() {
            // Read when a process starts, so it cannot be set by the helper itself.
            command.env("LD_LIBRARY_PATH", folder);
        }
        let unavailable = |error: &dyn std::fmt::Display| {
            let text = format!("{} cannot be started: {error}", program.display());
            Failure::new(ErrorCode::SdkUnavailable, text)
        };
        let mut group = ChildGroup::start(&mut command).map_err(|error| unavailable(&error))?;
        let (Some(input), Some(output), _) = group.pipes() else {
            return Err(unavailable(&"no pipes"));
        };
        let mut helper = Self {
            group,
            input,
            output,
            reader: FrameReader::new(ANSWER_MAX),
        };
        let payload = helper.payload("start", Instant::now() + HELLO).await?;
        let hello = Hello::decode(&payload).map_err(|error| nonsense(&error))?;
        usable(&hello)?;
        Ok((helper, hello))
    }

    /// Sends a request and waits for its answer. The helper is of no use after an error.
    ///
    /// # Errors
    ///
    /// `sdk.timeout`, `sdk.crashed`, `sdk.protocol`.
    pub(crate) async fn call(
        &mut self,
        request: &Request,
        until: Instant,
    ) -> Result<Answer, Failure> {
        let payload = request.encode().map_err(|error| nonsense(&error))?;
        let frame = frame(&payload, REQUEST_MAX).map_err(|error| nonsense(&error))?;
        let sent = timeout_at(until.into(), self.input.write_all(&frame)).await;
        match sent {
            Ok(Ok(())) => {}
            // A broken pipe: its end says why.
            Ok(Err(_)) => return Err(self.end(request.name()).await),
            Err(_) => return Err(late(request.name())),
        }
        let payload = self.payload(request.name(), until).await?;
        Answer::decode(&payload).map_err(|error| nonsense(&error))
    }

    /// Lets the helper log out, and kills it where that takes too long.
    pub(crate) async fn leave(mut self) {
        let until = Instant::now() + LEAVE;
        if let Err(failure) = self.call(&Request::Quit, until).await {
            tracing::debug!(error.r#type = %failure.code, %failure, "no logout");
            return;
        }
        if self.group.ended(GONE).await.is_none() {
            tracing::debug!("the helper does not end by itself");
        }
    }

    /// Ends the helper at once, and sees that it is gone.
    pub(crate) async fn kill(mut self) {
        self.group.kill();
        if self.group.ended(GONE).await.is_none() {
            tracing::warn!("a helper was killed and is not gone");
        }
    }

    async fn payload(&mut self, call: &str, until: Instant) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let mut buffer = vec![0; READ_BUFFER];
        loop {
            let next = self.reader.next_payload();
            if let Some(payload) = next.map_err(|error| nonsense(&error))? {
                return Ok(payload);
            }
            match timeout_at(until.into(), self.output.read(&mut buffer)).await {
                Ok(Ok(0) | Err(_)) => return Err(self.end(call).await),
                Ok(Ok(count)) => self.reader.push(buffer.get(..count).unwrap_or_default()),
                Err(_) => return Err(late(call)),
            }
        }
    }

    /// Why the helper closed its pipe.
    async fn end(&mut self, call: &str) -> Failure {
        match self.group.ended(GONE).await {
            Some(status) => ended(call, status),
            None => nonsense(&"the helper closed its pipe and goes on"),
        }
    }
}

fn usable(hello: &Hello) -> Result<(), Failure> {
    let text = match &hello.library {
        Library::Ready { .. } => return Ok(()),
        Library::NotLoaded { text } => {
            let mut text = format!("{} cannot be loaded: {text}", hello.path);
            for companion in &hello.companions {
                if let (None, Some(trouble)) = (&companion.loaded, &companion.trouble) {
                    text.push_str(&format!("; {}: {trouble}", companion.name));
                }
            }
            text.push_str("; put the libraries that the vendor ships with it into its folder");
            text
        }
        Library::Incomplete { missing } => format!(
            "{} lacks {}; it is not the vendor's device library, or too old",
            hello.path,
            missing.join(", ")
        ),
        Library::NotStarted => format!("{} does not start (NET_SDK_Init)", hello.path),
    };
    Err(Failure::new(ErrorCode::SdkUnavailable, text))
}

fn late(call: &str) -> Failure {
    let text = format!("the vendor's library did not finish in time ({call})");
    Failure::new(ErrorCode::SdkTimeout, text)
}

fn nonsense(error: &dyn std::fmt::Display) -> Failure {
    let text = format!("the helper of the vendor's library is out of step: {error}");
    Failure::new(ErrorCode::SdkProtocol, text)
}

fn ended(call: &str, status: ExitStatus) -> Failure {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(signal) => {
            let text = format!("the vendor's library crashed (signal {signal}, {call})");
            Failure::new(ErrorCode::SdkCrashed, text)
        }
        None => nonsense(&format!("it ended without an answer ({call}, {status})")),
    }
}
