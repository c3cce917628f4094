//! Between the client library and a device: bytes are counted before the library collects them.
//!
//! The library opens its connections itself, so it is sent to a port of this computer. What it asks is
//! passed on as it is; addresses in it name that port, as they name a router's where ports are
//! forwarded.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tvtfleet_proto::device::rtsp::Meter;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::report::Failure;

use super::greet::CONNECT;

/// Bytes of a device that are held at a time.
const DOWN: usize = 32 * 1024;
/// Bytes of the library.
const UP: usize = 4 * 1024;

/// A port of this computer that leads to a device.
#[derive(Debug)]
pub(super) struct Relay {
    listener: TcpListener,
    own: SocketAddr,
    device: SocketAddr,
    frame_max: usize,
}

impl Relay {
    /// Opens a port that leads to a device, of which a frame may have so many bytes.
    pub(super) async fn open(device: SocketAddr, frame_max: usize) -> Result<Self, Failure> {
        let failed = |_| Failure::new(ErrorCode::Internal, "no port for a connection of our own");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(failed)?;
        let own = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            own,
            device,
            frame_max,
        })
    }

    /// The port.
    pub(super) const fn address(&self) -> SocketAddr {
        self.own
    }

    /// Passes on what is said, one connection after the other, until the device says too much.
    ///
    /// Ends with `rtsp.bad_answer`, `picture.too_large`.
    pub(super) async fn run(&self) -> Failure {
        loop {
            let Ok((library, _)) = self.listener.accept().await else {
                return Failure::new(ErrorCode::Internal, "no connection of our own");
            };
            let device = match timeout(CONNECT, TcpStream::connect(self.device)).await {
                Ok(Ok(device)) => device,
                // The library finds its connection closed.
                Ok(Err(_)) | Err(_) => continue,
            };
            if let Err(failure) = self.pass(library, device).await {
                return failure;
            }
        }
    }

    /// Passes on until one of them leaves.
    async fn pass(&self, mut library: TcpStream, mut device: TcpStream) -> Result<(), Failure> {
        let mut meter = Meter::new(self.frame_max);
        let _slower = (library.set_nodelay(true), device.set_nodelay(true));
        let (mut asks, mut hears) = library.split();
        let (mut says, mut answers) = device.split();
        let (mut up, mut down) = (vec![0; UP], vec![0; DOWN]);
        loop {
            let passed = tokio::select! {
                count = says.read(&mut down) => {
                    let said = down.get(..count.unwrap_or(0)).unwrap_or_default();
                    meter.count(said).map_err(|trouble| Failure::new(trouble.code, trouble.text))?;
                    !said.is_empty() && hears.write_all(said).await.is_ok()
                }
                count = asks.read(&mut up) => {
                    let asked = up.get(..count.unwrap_or(0)).unwrap_or_default();
                    !asked.is_empty() && answers.write_all(asked).await.is_ok()
                }
            };
            if !passed {
                return Ok(());
            }
        }
    }
}
