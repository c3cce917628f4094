//! The line between the sites and the server: it can be cut, and it can be slow.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Whole,
    /// Each piece of data takes as long.
    Slow(Duration),
    /// Connections end, and new ones are closed at once.
    Cut,
}

/// A line to a server on this machine.
pub(super) struct Line {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
}

impl Line {
    /// Listens on a free port and passes on to `port`.
    pub(super) async fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(watch::Sender::new(State::Whole));
        let watched = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *watched.borrow() == State::Cut {
                    continue;
                }
                tokio::spawn(pass(near, port, watched.subscribe()));
            }
        });
        Self { address, state }
    }

    pub(super) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    pub(super) fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}

async fn pass(near: TcpStream, port: u16, state: watch::Receiver<State>) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let mut cut = state.clone();
    tokio::select! {
        _ = cut.wait_for(|state| *state == State::Cut) => {}
        () = copy(near_in, far_out, state.clone()) => {}
        () = copy(far_in, near_out, state) => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut into: OwnedWriteHalf, state: watch::Receiver<State>) {
    let mut piece = vec![0; 16 * 1024];
    while let Ok(length) = from.read(&mut piece).await {
        let delay = match *state.borrow() {
            State::Slow(delay) => delay,
            State::Whole | State::Cut => Duration::ZERO,
        };
        tokio::time::sleep(delay).await;
        if length == 0 || into.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}
