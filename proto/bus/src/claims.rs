//! Handing accounts to running servers, as a user of the servers' own account.

use async_nats::RequestErrorKind;
use serde::Deserialize;

use crate::connect::{Bus, REQUEST_TIMEOUT};
use crate::error::BusError;

/// Takes a new or changed account.
const UPDATE: &str = "$SYS.REQ.CLAIMS.UPDATE";
/// Forgets an account.
const DELETE: &str = "$SYS.REQ.CLAIMS.DELETE";

/// What a server says to a claims request.
#[derive(Deserialize)]
struct Answer {
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    description: String,
}

/// Gives the servers an account's token. It takes effect at once: connections of users that it
/// revokes are closed.
///
/// # Errors
///
/// `bus.denied` where the servers refuse the token; `bus.unreachable`, `bus.timeout`.
pub async fn update_account(bus: &Bus, token: &str) -> Result<(), BusError> {
    ask(bus, UPDATE, token).await
}

/// Lets the servers forget an account, with a token of [`crate::trust::deletion_token`].
///
/// # Errors
///
/// As [`update_account`].
pub async fn delete_account(bus: &Bus, token: &str) -> Result<(), BusError> {
    ask(bus, DELETE, token).await
}

async fn ask(bus: &Bus, subject: &'static str, token: &str) -> Result<(), BusError> {
    if !bus.is_connected() {
        return Err(BusError::Disconnected);
    }
    let mark = bus.standing.mark();
    let request = bus
        .client
        .request(subject, token.to_owned().into_bytes().into());
    let answer = tokio::select! {
        biased;
        answer = request => answer,
        error = bus.standing.broken(mark, subject) => return Err(error),
        () = tokio::time::sleep(REQUEST_TIMEOUT) => {
            return Err(BusError::Timeout { what: "an account" });
        }
    };
    let answer = answer.map_err(|error| match error.kind() {
        RequestErrorKind::TimedOut => BusError::Timeout { what: "an account" },
        RequestErrorKind::NoResponders => BusError::Denied {
            reason: "the servers take no accounts from this user".to_owned(),
        },
        RequestErrorKind::InvalidSubject
        | RequestErrorKind::MaxPayloadExceeded
        | RequestErrorKind::Other => BusError::Client {
            what: "an account",
            source: error.into(),
        },
    })?;
    let answer: Answer =
        serde_json::from_slice(&answer.payload).map_err(|error| BusError::Client {
            what: "the answer to an account",
            source: error.into(),
        })?;
    match answer.error {
        None => Ok(()),
        Some(failure) => Err(BusError::Denied {
            reason: failure.description,
        }),
    }
}
