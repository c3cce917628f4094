//! What the clock of the NATS server says, beside that of this machine.
//!
//! Tokens are good between two moments of the server's clock, and the stream forgets results by their
//! age on it: a server whose clock is off refuses good tokens and forgets at the wrong time.

use async_nats::jetstream::context::RequestErrorKind;
use serde::Deserialize;
use tvtfleet_proto::model::time::UtcMillis;
use tvtfleet_proto::subject::OUT_STREAM;

use crate::clock::Clock;
use crate::connect::Bus;
use crate::error::BusError;

/// The server's answer; it says more. Servers tell their time from 2.10 on.
#[derive(Deserialize)]
struct Told {
    ts: Option<String>,
}

/// By how many milliseconds the clock of the server that leads the stream of results is ahead of
/// `clock`, at the least: what the way there and back may have added is taken off. Negative where it
/// is behind. `None` where the server does not say, as where there is no such stream.
///
/// # Errors
///
/// `bus.timeout` without an answer in time, `bus.unreachable` where it cannot be asked or read.
pub async fn offset_ms(bus: &Bus, clock: &dyn Clock) -> Result<Option<i64>, BusError> {
    let what = "a question for the server's time";
    let (sent, began) = (clock.now(), clock.instant());
    let told: Result<Told, _> = bus
        .jetstream
        .request(format!("STREAM.INFO.{OUT_STREAM}"), &())
        .await;
    let took = clock.instant().saturating_duration_since(began);
    let told = told.map_err(|error| match error.kind() {
        RequestErrorKind::TimedOut => BusError::Timeout { what },
        RequestErrorKind::NoResponders
        | RequestErrorKind::InvalidSubject
        | RequestErrorKind::Other => BusError::Client {
            what,
            source: Box::new(error),
        },
    })?;
    let server = told.ts.and_then(|text| text.parse().ok());
    Ok(server.map(|server| least(server, sent, sent.after(took))))
}

/// How far `server` lies outside of the span in which it was read.
fn least(server: UtcMillis, sent: UtcMillis, received: UtcMillis) -> i64 {
    let (server, sent, received) = (server.millis(), sent.millis(), received.millis());
    if server > received {
        server.saturating_sub(received)
    } else {
        server.saturating_sub(sent).min(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_not_held_against_the_clock() {
        let at = |server| {
            least(
                UtcMillis::new(server),
                UtcMillis::new(100),
                UtcMillis::new(140),
            )
        };
        assert_eq!(at(100), 0);
        assert_eq!(at(120), 0);
        assert_eq!(at(140), 0);
        assert_eq!(at(141), 1);
        assert_eq!(at(90), -10);
    }
}
