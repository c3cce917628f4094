//! Asking an RTSP server, without a credential, whether it wants one.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout_at;
use tvtfleet_proto::device::rtsp::{Greeting, HEAD_MAX, describe, url};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Host;
use tvtfleet_proto::model::report::Failure;

use crate::device::connect::reachable;
use crate::device::visit::Visit;

/// Time to open a connection to one address.
pub(super) const CONNECT: Duration = Duration::from_secs(3);
/// Time for one answer.
pub(super) const ANSWER: Duration = Duration::from_secs(5);

/// Asks for the description of a stream. Returns the address that answered, which policy allows.
///
/// # Errors
///
/// Those of connections, and what [`Greeting::read`] makes of the answer.
pub(super) async fn greet(
    visit: Visit<'_>,
    port: u16,
    path: &str,
) -> Result<(SocketAddr, Greeting), Failure> {
    let mut last = Failure::new(ErrorCode::Unreachable, "the device has no address");
    for address in reachable(visit, port).await? {
        let end = Instant::now() + CONNECT;
        let stream = match timeout_at(end.into(), TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                last = not_opened(&error);
                continue;
            }
            Err(_) => {
                let text = "the RTSP server did not answer in time";
                last = Failure::new(ErrorCode::ConnectTimeout, text);
                continue;
            }
        };
        let end = Instant::now() + ANSWER;
        let question = describe(&url(&Host::Ip(address.ip()), port, path));
        return match timeout_at(end.into(), exchange(stream, &question)).await {
            Ok(result) => result.map(|greeting| (address, greeting)),
            Err(_) => Err(Failure::new(
                ErrorCode::RequestTimeout,
                "no answer of the RTSP server in 5 s",
            )),
        };
    }
    Err(last)
}

async fn exchange(mut stream: TcpStream, question: &str) -> Result<Greeting, Failure> {
    let broken = |_| {
        Failure::new(
            ErrorCode::Truncated,
            "the RTSP server closed the connection",
        )
    };
    stream
        .write_all(question.as_bytes())
        .await
        .map_err(broken)?;
    let mut held = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        let count = stream.read(&mut buffer).await.map_err(broken)?;
        if count == 0 {
            let text = "the RTSP server closed the connection";
            return Err(Failure::new(ErrorCode::Truncated, text));
        }
        let room = HEAD_MAX.saturating_sub(held.len()).min(count);
        held.extend_from_slice(buffer.get(..room).unwrap_or_default());
        let greeting = Greeting::read(&held).map_err(|trouble| Failure {
            wire_code: trouble.wire_code,
            ..Failure::new(trouble.code, trouble.text)
        })?;
        if let Some(greeting) = greeting {
            return Ok(greeting);
        }
    }
}

fn not_opened(error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::ConnectionRefused {
        Failure::new(
            ErrorCode::ConnectRefused,
            "the RTSP server refuses connections: it is switched off, or on another port",
        )
    } else {
        Failure::new(ErrorCode::Unreachable, "the RTSP server cannot be reached")
    }
}
