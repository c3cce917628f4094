//! Listening, and the tasks of all connections.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{JoinHandle, JoinSet};

use super::conversation;
use super::handle::Device;
use super::spec::CAMERA_PORT;
use crate::video;
use crate::web;

/// Connections of one device at a time; more are closed at once.
const CONNECTION_LIMIT: usize = 1024;
/// Rest after a failed accept, so that running connections can end.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// What stands behind a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The binary protocol.
    Protocol,
    /// The web interfaces.
    Web,
    /// Video.
    Rtsp,
}

/// The sockets of a device: listening, or kept shut.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Tasks that listen; each owns the connections it accepted.
    tasks: Vec<JoinHandle<()>>,
    /// Bound without listening, so that the port stays ours and connections are refused.
    shut: Option<TcpSocket>,
}

/// Sockets bound for a device.
pub(crate) enum Bound {
    /// Ready to accept; the first gives the address.
    Open(Vec<TcpListener>),
    /// Refuses connections.
    Shut(TcpSocket),
}

/// Binds the sockets of a device and returns the address with the port that was taken.
pub(crate) fn bind(
    address: SocketAddr,
    listens: bool,
    camera_port: bool,
) -> io::Result<(SocketAddr, Bound)> {
    let first = socket(address)?;
    let address = first.local_addr()?;
    if !listens {
        return Ok((address, Bound::Shut(first)));
    }
    let mut listeners = vec![first.listen(BACKLOG)?];
    if camera_port && address.port() != CAMERA_PORT {
        listeners.push(socket(SocketAddr::new(address.ip(), CAMERA_PORT))?.listen(BACKLOG)?);
    }
    Ok((address, Bound::Open(listeners)))
}

/// Connections that wait to be accepted.
const BACKLOG: u32 = 256;

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

impl Listeners {
    /// Starts to accept, or to refuse.
    pub(crate) fn serve(&self, device: &Arc<Device>, bound: Bound, door: Door) {
        let mut state = self.state();
        match bound {
            Bound::Shut(socket) => state.shut = Some(socket),
            Bound::Open(listeners) => {
                let accepting = listeners
                    .into_iter()
                    .map(|listener| tokio::spawn(accept(Arc::downgrade(device), listener, door)));
                state.tasks.extend(accepting);
            }
        }
    }

    /// Says whether the device accepts connections.
    pub(crate) fn listening(&self) -> bool {
        !self.state().tasks.is_empty()
    }

    /// Stops listening and drops every connection; the port stays taken.
    pub(crate) async fn close(&self, address: SocketAddr) -> io::Result<()> {
        let tasks = std::mem::take(&mut self.state().tasks);
        if tasks.is_empty() {
            return Ok(());
        }
        for task in tasks {
            task.abort();
            // The result only says that the task was aborted; afterwards its sockets are closed.
            let _ = task.await;
        }
        self.state().shut = Some(socket(address)?);
        Ok(())
    }

    /// Listens again; nothing happens when the device listens already.
    pub(crate) fn reopen(&self, device: &Arc<Device>, camera_port: bool) -> io::Result<()> {
        if self.listening() {
            return Ok(());
        }
        drop(self.state().shut.take());
        let (_, bound) = bind(device.address(), true, camera_port)?;
        self.serve(device, bound, Door::Protocol);
        Ok(())
    }

    /// Stops everything without waiting.
    pub(crate) fn abort(&self) {
        for task in self.state().tasks.drain(..) {
            task.abort();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts until aborted or until the device is gone.
async fn accept(device: Weak<Device>, listener: TcpListener, door: Door) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Some(device) = device.upgrade() else {
            return;
        };
        match accepted {
            Ok((stream, _)) if connections.len() < CONNECTION_LIMIT => {
                let connection = device.connected();
                connections.spawn(async move {
                    match door {
                        Door::Protocol => conversation::serve(&device, stream, connection).await,
                        Door::Web => web::serve(&device, stream).await,
                        Door::Rtsp => video::serve(&device, stream).await,
                    }
                });
            }
            Ok(_) => tracing::warn!(device = %device.address(), "too many connections"),
            Err(error) => {
                tracing::warn!(device = %device.address(), %error, "cannot accept");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}
