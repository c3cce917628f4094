//! Opening a TCP connection: names, policy, deadlines, and what went wrong in words.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout_at};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::{Endpoint, Host};
use tvtfleet_proto::model::report::Failure;

use super::visit::Visit;
use crate::policy::Policy;

/// How many addresses of a name are tried.
const ADDRESSES_MAX: usize = 4;

/// Opens a connection to the device of a visit, with TCP_NODELAY.
///
/// # Errors
///
/// `device.connect_refused`, `device.connect_timeout`, `device.unreachable`,
/// `device.name_not_resolved`, `device.policy_refused`, `device.deadline`, `device.cancelled`.
pub(crate) async fn connect(visit: Visit<'_>) -> Result<TcpStream, Failure> {
    let settings = &visit.site.protocol;
    let open = async {
        let addresses = addresses(&visit.target.endpoint, settings.resolve).await?;
        let allowed = allowed(&visit.site.policy, &addresses)?;
        first_open(&allowed, settings.connect).await
    };
    tokio::select! {
        biased;
        () = visit.cancel.cancelled() => Err(cancelled()),
        result = open => result,
        () = sleep_until(visit.deadline.into()) => {
            Err(Failure::new(ErrorCode::DeviceDeadline, "the time for the device ran out"))
        }
    }
}

/// Checks the address of a device that somebody else will connect to.
///
/// A name is resolved only where policy names networks: the other may know names that we do not.
///
/// # Errors
///
/// `device.name_not_resolved`, `device.policy_refused`.
pub(crate) async fn check_host(visit: Visit<'_>) -> Result<(), Failure> {
    let policy = &visit.site.policy;
    let endpoint = &visit.target.endpoint;
    let is_name = matches!(endpoint.host, Host::Name(_));
    if is_name && policy.networks.is_empty() {
        return Ok(());
    }
    let found = addresses(endpoint, visit.site.protocol.resolve).await?;
    allowed(policy, &found).map(|_| ())
}

/// The addresses of a port of the device that policy allows.
///
/// # Errors
///
/// `device.name_not_resolved`, `device.policy_refused`.
pub(crate) async fn reachable(visit: Visit<'_>, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let endpoint = Endpoint {
        host: visit.target.endpoint.host.clone(),
        port,
    };
    let addresses = addresses(&endpoint, visit.site.protocol.resolve).await?;
    allowed(&visit.site.policy, &addresses)
}

/// The failure of work that was stopped.
pub(crate) fn cancelled() -> Failure {
    Failure::new(ErrorCode::DeviceCancelled, "stopped before it was done")
}

/// The failure of asking a device by address of which only the serial number is known.
pub(crate) fn only_by_serial() -> Failure {
    let text =
        "a device that is known by its serial number is reached by the vendor's library only";
    Failure::new(ErrorCode::UnsupportedVariant, text)
}

/// A span as pytvt prints it: `10s`, `0.5s`.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0.as_secs_f64())
    }
}

async fn addresses(endpoint: &Endpoint, limit: Duration) -> Result<Vec<SocketAddr>, Failure> {
    let name = match &endpoint.host {
        Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, endpoint.port)]),
        Host::Name(name) => name.as_str(),
        Host::Serial(_) => return Err(only_by_serial()),
    };
    let unresolved = |text: String| Failure::new(ErrorCode::NameNotResolved, text);
    let end = Instant::now() + limit;
    let lookup = timeout_at(end.into(), tokio::net::lookup_host((name, endpoint.port))).await;
    let found: Vec<_> = match lookup {
        Ok(Ok(found)) => found.take(ADDRESSES_MAX).collect(),
        Ok(Err(_)) => return Err(unresolved(format!("Network error: {name} has no address"))),
        Err(_) => {
            return Err(unresolved(format!(
                "the address of {name} was not found in {}",
                Seconds(limit)
            )));
        }
    };
    if found.is_empty() {
        return Err(unresolved(format!("Network error: {name} has no address")));
    }
    Ok(found)
}

/// Drops the addresses that policy forbids; if none is left, the policy's refusal stands.
fn allowed(policy: &Policy, addresses: &[SocketAddr]) -> Result<Vec<SocketAddr>, Failure> {
    let mut refusal = None;
    let mut allowed = Vec::with_capacity(addresses.len());
    for address in addresses {
        match policy.check_address(address.ip()) {
            Ok(()) => allowed.push(*address),
            Err(failure) => refusal = Some(failure),
        }
    }
    match refusal {
        Some(failure) if allowed.is_empty() => Err(failure),
        _ => Ok(allowed),
    }
}

async fn first_open(addresses: &[SocketAddr], limit: Duration) -> Result<TcpStream, Failure> {
    let mut last = Failure::new(ErrorCode::Internal, "no address");
    for address in addresses {
        let end = Instant::now() + limit;
        match timeout_at(end.into(), TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Without it a login may wait for an acknowledgement. Worth nothing to fail over.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY not set");
                }
                return Ok(stream);
            }
            Ok(Err(error)) => last = refused(&error, limit),
            Err(_) => last = timed_out(limit),
        }
    }
    Err(last)
}

fn timed_out(limit: Duration) -> Failure {
    let text = format!("Connection timed out ({})", Seconds(limit));
    Failure::new(ErrorCode::ConnectTimeout, text)
}

/// Says in pytvt's words why a connection was not opened.
fn refused(error: &io::Error, limit: Duration) -> Failure {
    let kind = error.kind();
    if kind == io::ErrorKind::ConnectionRefused {
        Failure::new(ErrorCode::ConnectRefused, "Connection refused")
    } else if kind == io::ErrorKind::TimedOut {
        timed_out(limit)
    } else if kind == io::ErrorKind::ConnectionReset {
        // It accepted, and was gone before that was seen here: as when it is seen a moment later.
        Failure::new(
            ErrorCode::Closed,
            format!("Network error: {}", OsText(error)),
        )
    } else {
        Failure::new(
            ErrorCode::Unreachable,
            format!("Network error: {}", OsText(error)),
        )
    }
}

/// An operating system's error as Python prints it: `[Errno 113] No route to host`.
struct OsText<'a>(&'a io::Error);

impl fmt::Display for OsText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        match self.0.raw_os_error() {
            Some(number) => {
                let words = text.split(" (os error").next().unwrap_or(&text);
                write!(f, "[Errno {number}] {words}")
            }
            None => f.write_str(&text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_that_scripts_know() {
        let limit = Duration::from_secs(10);
        let text = |number| refused(&io::Error::from_raw_os_error(number), limit);
        assert_eq!(text(111).text, "Connection refused");
        assert_eq!(text(111).code, ErrorCode::ConnectRefused);
        assert_eq!(text(110).text, "Connection timed out (10s)");
        assert_eq!(
            text(113).text,
            "Network error: [Errno 113] No route to host"
        );
        assert_eq!(text(113).code, ErrorCode::Unreachable);
        assert_eq!(Seconds(Duration::from_millis(500)).to_string(), "0.5s");
    }

    #[test]
    fn forbidden_addresses_of_a_name_are_skipped() {
        let policy = Policy {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            ..Policy::default()
        };
        let inside: SocketAddr = "10.0.0.1:6036".parse().unwrap();
        let outside: SocketAddr = "192.0.2.1:6036".parse().unwrap();
        assert_eq!(allowed(&policy, &[outside, inside]).unwrap(), [inside]);
        assert_eq!(
            allowed(&policy, &[outside]).unwrap_err().code,
            ErrorCode::PolicyRefused
        );
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_told_apart() {
        let endpoint: Endpoint = "no-such-host.invalid:6036".parse().unwrap();
        let failure = addresses(&endpoint, Duration::from_secs(20))
            .await
            .unwrap_err();
        assert_eq!(failure.code, ErrorCode::NameNotResolved);
    }
}
