//! A double of the HTTP bridge: answers as told, and keeps what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// More than any request has, in bytes.
const REQUEST_MAX: usize = 64 * 1024;

/// How the bridge answers.
#[derive(Clone, Debug)]
pub enum Habit {
    /// A status line's end, a content type and a body.
    Answer(&'static str, &'static str, Vec<u8>),
    /// These bytes and nothing else, then the end.
    Raw(Vec<u8>),
    /// These bytes, and then nothing.
    Stall(Vec<u8>),
    /// This byte without end.
    Flood(u8),
}

impl Habit {
    /// A JSON body with success.
    #[must_use]
    pub fn json(body: &Value) -> Self {
        Self::Answer("200 OK", "application/json", body.to_string().into_bytes())
    }
}

/// What the bridge was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The heads, names in lower case.
    pub heads: BTreeMap<String, String>,
    /// The body; null where it is no JSON.
    pub body: Value,
}

/// A running bridge; it ends when it is dropped.
#[derive(Debug)]
pub struct BridgeDouble {
    /// Its address, as `http://127.0.0.1:1234`.
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    serving: JoinHandle<()>,
}

impl BridgeDouble {
    /// Starts a bridge that answers by the device's address, else by the path, else with the habit
    /// under `*`.
    ///
    /// # Panics
    ///
    /// There is no free port.
    pub async fn start(habits: BTreeMap<String, Habit>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, habits) = (Arc::clone(&asked), Arc::new(habits));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, habits) = (Arc::clone(&kept), Arc::clone(&habits));
                tokio::spawn(async move { serve(stream, &habits, &kept).await });
            }
        });
        Self {
            url,
            asked,
            serving,
        }
    }

    /// A bridge with one habit.
    pub async fn with(habit: Habit) -> Self {
        Self::start(BTreeMap::from([("*".to_owned(), habit)])).await
    }

    /// What it was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        let asked = self.asked.lock();
        asked.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for BridgeDouble {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(mut stream: TcpStream, habits: &BTreeMap<String, Habit>, kept: &Mutex<Vec<Asked>>) {
    let Some(asked) = read(&mut stream).await else {
        return;
    };
    let device = asked.body["ip"].as_str().unwrap_or_default();
    let habit = habits.get(device).or_else(|| habits.get(&asked.path));
    let habit = habit.or_else(|| habits.get("*"));
    kept.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(asked);
    // The other side may be gone at any time, which is often the point.
    let _gone = match habit {
        None => {
            stream
                .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                .await
        }
        Some(Habit::Answer(status, kind, body)) => {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(&[head.as_bytes(), body].concat()).await
        }
        Some(Habit::Raw(bytes)) => stream.write_all(bytes).await,
        Some(Habit::Stall(bytes)) => {
            let sent = stream.write_all(bytes).await;
            // Until the other side gives up.
            let _gone = stream.read(&mut [0; 16]).await;
            sent
        }
        Some(Habit::Flood(byte)) => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
            let mut sent = stream.write_all(head).await;
            while sent.is_ok() {
                sent = stream.write_all(&[*byte; 16 * 1024]).await;
            }
            sent
        }
    };
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(asked) = parse(&bytes) {
            return Some(asked);
        }
        let count = stream.read(&mut buffer).await.ok()?;
        if count == 0 || bytes.len() > REQUEST_MAX {
            return None;
        }
        bytes.extend_from_slice(buffer.get(..count)?);
    }
}

fn parse(bytes: &[u8]) -> Option<Asked> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let heads: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = heads
        .get("content-length")
        .map_or(Some(0), |text| text.parse().ok())?;
    let body = body.get(..length)?;
    Some(Asked {
        method: first.next()?.to_owned(),
        path: first.next()?.to_owned(),
        heads,
        body: serde_json::from_str(body).unwrap_or_default(),
    })
}
