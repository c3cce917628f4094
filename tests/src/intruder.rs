//! A client of the servers that tries what it may not.

use std::sync::Mutex;

use async_nats::{Client, ConnectOptions, Event};
use tvtfleet_bus::trust;

use crate::governed::GovernedFleet;
use crate::wait::{EventLog, eventually};

/// A subject that nobody may use: its refusal tells that everything before it was looked at.
const MARKER: &str = "nobody.may.use.this";

/// A client that may try anything, and what it is told.
pub struct Intruder {
    /// Its connection.
    pub client: Client,
    events: EventLog<String>,
    markers: Mutex<usize>,
}

impl Intruder {
    /// Connects to the first server with a credentials file of the fleet.
    ///
    /// # Panics
    ///
    /// The server does not let it in.
    pub async fn with(fleet: &GovernedFleet, credentials: &str) -> Self {
        Self::at(fleet, fleet.url(), credentials).await
    }

    /// Connects to one server with a credentials file of the fleet.
    ///
    /// # Panics
    ///
    /// The server does not let it in.
    pub async fn at(fleet: &GovernedFleet, url: String, credentials: &str) -> Self {
        let events = EventLog::new();
        let told: EventLog<String> = events.clone();
        let text = std::fs::read_to_string(fleet.path(credentials)).expect("credentials");
        let client = ConnectOptions::with_credentials(&text)
            .expect("a connection")
            .add_root_certificates(fleet.path("fleet/keys/ca.pem"))
            .custom_inbox_prefix(format!("_INBOX.{}", key_in(&text)))
            .event_callback(move |event| {
                let text = event.to_string();
                let ended = matches!(event, Event::Disconnected);
                told.push(if ended {
                    "disconnected".to_owned()
                } else {
                    text
                });
                std::future::ready(())
            })
            .connect(url)
            .await
            .expect("a connection");
        Self {
            client,
            events,
            markers: Mutex::new(0),
        }
    }

    /// Waits until the server has looked at everything that was sent so far.
    ///
    /// # Panics
    ///
    /// The connection has ended.
    pub async fn settle(&self) {
        let number = {
            let mut markers = self.markers.lock().expect("nobody fails here");
            *markers += 1;
            *markers
        };
        let marker = format!("{MARKER}.{number}");
        self.client
            .publish(marker.clone(), "".into())
            .await
            .expect("a connection");
        self.client.flush().await.expect("a connection");
        eventually("the marker is refused", || async {
            self.was_refused(&marker).then_some(())
        })
        .await;
    }

    /// Whether its connection has ended once.
    #[must_use]
    pub fn was_dropped(&self) -> bool {
        self.events
            .all()
            .iter()
            .any(|event| event == "disconnected")
    }

    fn was_refused(&self, subject: &str) -> bool {
        let quoted = format!("\"{subject}\"");
        self.events.all().iter().any(|event| {
            event.to_ascii_lowercase().contains("permissions violation") && event.contains(&quoted)
        })
    }

    /// Whether the server lets it publish.
    ///
    /// # Panics
    ///
    /// The connection has ended.
    pub async fn may_publish(&self, subject: &str) -> bool {
        self.client
            .publish(subject.to_owned(), "x".into())
            .await
            .expect("a connection");
        self.settle().await;
        !self.was_refused(subject)
    }

    /// Whether the server lets it subscribe.
    ///
    /// # Panics
    ///
    /// The connection has ended.
    pub async fn may_hear(&self, subject: &str) -> bool {
        let _heard = self
            .client
            .subscribe(subject.to_owned())
            .await
            .expect("a connection");
        self.settle().await;
        !self.was_refused(subject)
    }

    /// Tries subjects: those that it may publish, those that it may not, and likewise those to hear.
    ///
    /// # Panics
    ///
    /// One is not as expected.
    pub async fn check(&self, publish: [&[&str]; 2], hear: [&[&str]; 2]) {
        for (expected, subjects) in [true, false].into_iter().zip(publish) {
            for subject in subjects {
                assert_eq!(
                    self.may_publish(subject).await,
                    expected,
                    "publish {subject}"
                );
            }
        }
        for (expected, subjects) in [true, false].into_iter().zip(hear) {
            for subject in subjects {
                assert_eq!(self.may_hear(subject).await, expected, "hear {subject}");
            }
        }
    }
}

/// The public key of a credentials file.
///
/// # Panics
///
/// It is none.
#[must_use]
pub fn key_in(text: &str) -> String {
    let mut lines = text.lines();
    lines
        .find(|line| line.contains("BEGIN USER NKEY SEED"))
        .expect("a connection");
    let pair = trust::KeyPair::from_seed(lines.next().expect("a seed")).expect("a key");
    pair.public_key()
}
