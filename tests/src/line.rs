//! A line to a server that can be slow, and cut.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Bytes that are passed on at a time.
const PIECE: usize = 4 * 1024;

/// A line to a port of this computer, for as long as this lives.
#[derive(Debug)]
pub struct Line {
    port: u16,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    whole: watch::Sender<bool>,
    /// Bytes a second towards the server; 0 is as many as there are.
    rate: AtomicU64,
    sent: AtomicU64,
}

impl Line {
    /// Lays a line to a port.
    ///
    /// # Panics
    ///
    /// There is no port for its near end.
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let state = Arc::new(State {
            whole: watch::Sender::new(true),
            rate: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move { pass(near, server, &state).await });
            }
        });
        Self { port, state, task }
    }

    /// The address of its near end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Passes at most so many bytes a second on to the server; 0 is as many as there are.
    pub fn set_rate(&self, rate: u64) {
        self.state.rate.store(rate, Ordering::Relaxed);
    }

    /// Cuts it: every connection ends, and new ones end at once.
    pub fn cut(&self) {
        self.state.whole.send_replace(false);
    }

    /// Mends it.
    pub fn mend(&self) {
        self.state.whole.send_replace(true);
    }

    /// Bytes that went to the server.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.cut();
        self.task.abort();
    }
}

async fn pass(near: TcpStream, server: u16, state: &State) {
    let mut whole = state.whole.subscribe();
    if !*whole.borrow_and_update() {
        return;
    }
    let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else {
        return;
    };
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let up = async {
        let mut piece = vec![0; PIECE];
        while let Ok(count @ 1..) = from_near.read(&mut piece).await {
            let rate = state.rate.load(Ordering::Relaxed);
            let share = u64::try_from(count).unwrap_or(0).saturating_mul(1_000_000);
            if let Some(micros) = share.checked_div(rate) {
                tokio::time::sleep(Duration::from_micros(micros)).await;
            }
            if to_far.write_all(&piece[..count]).await.is_err() {
                return;
            }
            let count = u64::try_from(count).unwrap_or(0);
            state.sent.fetch_add(count, Ordering::Relaxed);
        }
    };
    let down = tokio::io::copy(&mut from_far, &mut to_near);
    tokio::select! {
        () = up => {}
        _ = down => {}
        _ = whole.changed() => {}
    }
}
