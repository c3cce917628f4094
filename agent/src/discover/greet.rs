//! The greeting of one host on one TCP port: connect, send nothing, read 64 bytes, hang up.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tvtfleet_proto::device::probe::{self, Fingerprint, GREETING_LEN};
use tvtfleet_proto::model::discovery::Claims;

/// Time to open a connection: one lost packet is sent again after a second.
const CONNECT: Duration = Duration::from_millis(1_300);
/// Time from the connection to the whole greeting. Devices need about 10 ms.
const GREETING: Duration = Duration::from_millis(1_500);

/// What a port turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Greeted {
    /// A TVT device.
    Tvt(Box<Claims>),
    /// Something else, or closed.
    Other,
    /// No answer at all, or no way there.
    Nothing,
    /// This computer has no room for another connection: to be tried again.
    NoRoom,
}

/// Greets a host.
pub(crate) async fn greet(to: SocketAddrV4, bind: Option<Ipv4Addr>) -> Greeted {
    match timeout(CONNECT, connect(to, bind)).await {
        Ok(Ok(stream)) => listen(stream).await,
        Ok(Err(error)) => refused(&error),
        Err(_) => Greeted::Nothing,
    }
}

async fn connect(to: SocketAddrV4, bind: Option<Ipv4Addr>) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bind) = bind {
        socket.bind(SocketAddrV4::new(bind, 0).into())?;
    }
    // The connection ends with a reset, so that a recorder keeps no half-closed socket in one of
    // its few client slots.
    SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
    socket.connect(to.into()).await
}

async fn listen(mut stream: TcpStream) -> Greeted {
    let mut bytes = [0; GREETING_LEN];
    let mut filled = 0;
    let reading = async {
        while let Some(room) = bytes.get_mut(filled..) {
            match stream.read(room).await {
                Ok(0) | Err(_) => break,
                Ok(count) => filled += count,
            }
            let so_far = bytes.get(..filled).unwrap_or_default();
            if probe::fingerprint(so_far) != Fingerprint::Incomplete {
                break;
            }
        }
    };
    // What came in time is looked at either way.
    let _ = timeout(GREETING, reading).await;
    match probe::fingerprint(bytes.get(..filled).unwrap_or_default()) {
        Fingerprint::Tvt(claims) => Greeted::Tvt(claims),
        Fingerprint::Incomplete | Fingerprint::Other => Greeted::Other,
    }
}

fn refused(error: &io::Error) -> Greeted {
    const NO_FILES: [i32; 2] = [23, 24];
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset, _) => Greeted::Other,
        (_, Some(number)) if NO_FILES.contains(&number) => Greeted::NoRoom,
        (io::ErrorKind::AddrInUse | io::ErrorKind::OutOfMemory, _) => Greeted::NoRoom,
        _ => Greeted::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    async fn against(first: &'static [u8], then: &'static [u8], keep_open: bool) -> Greeted {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let std::net::SocketAddr::V4(address) = listener.local_addr().unwrap() else {
            panic!()
        };
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(first).await.unwrap();
            stream.flush().await.unwrap();
            stream.write_all(then).await.unwrap();
            let mut sent = Vec::new();
            if keep_open {
                let _ = stream.read_to_end(&mut sent).await;
            }
            sent
        });
        let greeted = greet(address, None).await;
        assert!(server.await.unwrap().is_empty(), "a greeting sends nothing");
        greeted
    }

    #[tokio::test]
    async fn a_greeting_in_pieces_is_a_device_and_others_are_not() {
        let rest = &[0; 60];
        assert!(matches!(
            against(b"head", rest, true).await,
            Greeted::Tvt(_)
        ));
        assert_eq!(against(b"SSH-2.0-x\r\n", b"", true).await, Greeted::Other);
        assert_eq!(against(b"head", b"", false).await, Greeted::Other);
        assert_eq!(against(b"", b"", true).await, Greeted::Other);
    }

    #[tokio::test]
    async fn a_closed_port_shows_a_host() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let std::net::SocketAddr::V4(address) = listener.local_addr().unwrap() else {
            panic!()
        };
        drop(listener);
        assert_eq!(greet(address, None).await, Greeted::Other);
    }
}
