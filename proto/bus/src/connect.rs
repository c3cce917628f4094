//! Connecting to NATS, and the [`Bus`] that comes of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::{Context, ContextBuilder};
use async_nats::{Auth, AuthError, ConnectErrorKind, ServerAddr};
use futures_util::StreamExt as _;
use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::error::BusError;
use crate::options::{Credentials, backoff_for, bare, shown};
use crate::standing::{BusState, Standing};

pub use crate::options::ConnectOptions;

/// The oldest nats-server that will do: major, minor, patch. 2.9 and 2.10 were seen to fail.
pub const FLOOR: (i64, i64, i64) = (2, 11, 0);
/// Older servers than this have known faults; they are used, with a warning.
pub const RECOMMENDED: (i64, i64, i64) = (2, 14, 6);

/// One server's time to answer a new connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The server's time to answer a request of the bus itself.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The time between two pings: routers at sites forget idle connections within minutes.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Messages that wait in one subscription; more are dropped, and counted.
pub(crate) const SUBSCRIPTION_CAPACITY: usize = 2_048;
/// Publications that wait for their acknowledgement at a time.
const ACKS_IN_FLIGHT: usize = 4_096;
/// How often in a row credentials are refused before a patient connect gives up.
const REFUSALS_MAX: u32 = 3;
/// Connects.
///
/// With [`ConnectOptions::retry_initial`] it waits for a server as long as it takes; stop waiting by
/// dropping the future. Refused credentials end it after three tries, and a server that is too old
/// at once.
///
/// # Errors
///
/// `bus.unreachable`, `bus.denied`, `bus.unsupported`, `config.invalid` or `config.unreadable`.
pub async fn connect(options: &ConnectOptions) -> Result<Bus, BusError> {
    let addresses = options.addresses()?;
    let backoff = backoff_for(&addresses);
    let mut refusals: u32 = 0;
    let mut attempt: usize = 0;
    loop {
        let error = match connect_once(options, &addresses, backoff).await {
            Ok(bus) => return Ok(bus),
            Err(error) => error,
        };
        if matches!(error, BusError::Denied { .. }) {
            refusals = refusals.saturating_add(1);
        }
        let again = matches!(
            error,
            BusError::Unreachable { .. } | BusError::Denied { .. }
        );
        if !options.retry_initial || !again || refusals >= REFUSALS_MAX {
            return Err(error);
        }
        attempt = attempt.saturating_add(1);
        let delay = backoff.delay(attempt);
        tracing::warn!(%error, delay_ms = millis(delay), "no NATS server yet");
        tokio::time::sleep(delay).await;
    }
}

async fn connect_once(
    options: &ConnectOptions,
    addresses: &[ServerAddr],
    backoff: Backoff,
) -> Result<Bus, BusError> {
    let servers = shown(addresses);
    let standing = Arc::new(Standing::new());
    let credentials = options.credentials()?;
    let client = client_options(options, addresses, credentials.as_ref(), &standing, backoff)?
        .connect(bare(addresses)?)
        .await
        .map_err(|error| match error.kind() {
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                BusError::Denied {
                    reason: error.to_string(),
                }
            }
            ConnectErrorKind::ServerParse => BusError::Options(error.to_string()),
            ConnectErrorKind::Dns
            | ConnectErrorKind::TimedOut
            | ConnectErrorKind::Tls
            | ConnectErrorKind::Io
            | ConnectErrorKind::MaxReconnects => BusError::Unreachable {
                servers: servers.clone(),
                source: Box::new(error),
            },
        })?;
    let info = client.server_info();
    if options.refuse_open_server && !info.auth_required {
        return Err(BusError::OpenServer { servers });
    }
    let (major, minor, patch) = FLOOR;
    let version = info.version;
    if !client.is_server_compatible(major, minor, patch) {
        return Err(BusError::TooOld {
            servers,
            found: version,
            floor: format!("{major}.{minor}.{patch}"),
        });
    }
    let (major, minor, patch) = RECOMMENDED;
    if !client.is_server_compatible(major, minor, patch) {
        tracing::warn!(%version, "nats-server is old; {major}.{minor}.{patch} or newer is recommended");
    }
    let context = || {
        ContextBuilder::new()
            .timeout(REQUEST_TIMEOUT)
            .ack_timeout(REQUEST_TIMEOUT)
    };
    let bus = Bus {
        jetstream: context().build(client.clone()),
        // Its own permits: a window of results that is given up must not hold up anything else.
        // Too many of them is an error, not a wait.
        out: context()
            .max_ack_inflight(ACKS_IN_FLIGHT)
            .backpressure_on_inflight(false)
            .build(client.clone()),
        client,
        standing,
        servers: servers.into(),
        user: credentials.map(|credentials| credentials.user.into()),
    };
    bus.connected(CONNECT_TIMEOUT).await?;
    Ok(bus)
}

fn client_options(
    options: &ConnectOptions,
    addresses: &[ServerAddr],
    credentials: Option<&Credentials>,
    standing: &Arc<Standing>,
    backoff: Backoff,
) -> Result<async_nats::ConnectOptions, BusError> {
    let for_events = Arc::clone(standing);
    let for_delays = Arc::clone(standing);
    let mut inbox_prefix = options.inbox_prefix.clone();
    let nats = match credentials {
        Some(credentials) => {
            let own = format!("_INBOX.{}", credentials.user);
            inbox_prefix = inbox_prefix.or(Some(own));
            let source = options.clone();
            let user = credentials.user.clone();
            // Read anew for each connection, so that renewed credentials need no restart.
            async_nats::ConnectOptions::with_auth_callback(move |nonce| {
                std::future::ready(answer_challenge(&source, &user, &nonce))
            })
        }
        None => async_nats::ConnectOptions::new(),
    };
    let mut nats = nats
        .name(&options.name)
        .connection_timeout(CONNECT_TIMEOUT)
        .request_timeout(Some(REQUEST_TIMEOUT))
        .ping_interval(PING_INTERVAL)
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .reconnect_delay_callback(move |attempt| {
            if for_delays.connected_before() {
                backoff.delay(attempt)
            } else {
                Duration::ZERO
            }
        })
        .event_callback(move |event| {
            for_events.take_event(event);
            std::future::ready(())
        });
    if let Some(path) = options.readable_ca_file()? {
        nats = nats.add_root_certificates(path.to_owned());
    }
    if let Some((user, password)) = options.login(addresses)? {
        nats = nats.user_and_password(user, password.expose().to_owned());
    }
    if let Some(prefix) = inbox_prefix {
        nats = nats.custom_inbox_prefix(prefix);
    }
    Ok(nats)
}

/// Signs the server's challenge with what the credentials file holds now.
fn answer_challenge(options: &ConnectOptions, user: &str, nonce: &[u8]) -> Result<Auth, AuthError> {
    let read = options.credentials().map_err(AuthError::new)?;
    // Replies go to the inbox of the user of the first connection.
    let credentials = read
        .filter(|credentials| credentials.user == user)
        .ok_or_else(|| AuthError::new("the credentials file is another user's now"))?;
    let mut auth = Auth::new();
    auth.signature = Some(credentials.sign(nonce).map_err(AuthError::new)?);
    auth.jwt = Some(credentials.token);
    Ok(auth)
}

/// A connection to NATS. Clones share it.
#[derive(Clone)]
pub struct Bus {
    pub(crate) client: async_nats::Client,
    /// For the JetStream API, want documents and the consumer.
    pub(crate) jetstream: Context,
    /// For publishing results.
    pub(crate) out: Context,
    pub(crate) standing: Arc<Standing>,
    servers: Arc<str>,
    user: Option<Arc<str>>,
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}

impl Bus {
    /// The state of the connection, now and as it changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<BusState> {
        self.standing.state()
    }

    /// Whether the server can be used now. Publish nothing while it cannot: the client would only
    /// queue it.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.standing.is_connected()
    }

    /// Waits for the connection, `limit` at most.
    ///
    /// # Errors
    ///
    /// `bus.unreachable`, or `bus.denied` where the server refuses the credentials.
    pub async fn connected(&self, limit: Duration) -> Result<(), BusError> {
        let mut state = self.state();
        let connected = state.wait_for(|state| *state == BusState::Connected);
        if tokio::time::timeout(limit, connected)
            .await
            .is_ok_and(|seen| seen.is_ok())
        {
            return Ok(());
        }
        match self.state().borrow().clone() {
            BusState::Denied(reason) => Err(BusError::Denied { reason }),
            BusState::Connected => Ok(()),
            BusState::Disconnected => Err(BusError::Disconnected),
        }
    }

    /// Connects again, with what the credentials file holds now.
    ///
    /// # Errors
    ///
    /// `bus.unreachable` where the client has ended.
    pub async fn reconnect(&self) -> Result<(), BusError> {
        self.client
            .force_reconnect()
            .await
            .map_err(|error| BusError::Client {
                what: "a new connection",
                source: error.into(),
            })
    }

    /// The servers' addresses without credentials, separated by commas.
    #[must_use]
    pub fn servers(&self) -> &str {
        &self.servers
    }

    /// The public key of the user who connected with a credentials file.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether the server that it is connected to is [`RECOMMENDED`] or newer.
    #[must_use]
    pub fn is_recommended(&self) -> bool {
        let (major, minor, patch) = RECOMMENDED;
        self.client.is_server_compatible(major, minor, patch)
    }

    /// The version of the server of the last connection.
    #[must_use]
    pub fn server_version(&self) -> String {
        self.client.server_info().version
    }

    /// How often a subscription lost messages because its reader was too slow.
    #[must_use]
    pub fn overflows(&self) -> u64 {
        self.standing.overflows()
    }

    /// Waits until the server has seen everything that was sent before, by sending a message to
    /// itself. Not for agents: they may not publish to inboxes.
    ///
    /// # Errors
    ///
    /// `bus.unreachable`, `bus.denied` or `bus.timeout`.
    pub async fn round_trip(&self) -> Result<(), BusError> {
        let what = "a round trip";
        let client_error = |source| BusError::Client { what, source };
        if !self.is_connected() {
            return Err(BusError::Disconnected);
        }
        let mark = self.standing.mark();
        let inbox = self.client.new_inbox();
        let mut echo = self
            .client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| client_error(error.into()))?;
        self.client
            .publish(inbox.clone(), bytes::Bytes::new())
            .await
            .map_err(|error| client_error(error.into()))?;
        tokio::select! {
            biased;
            seen = echo.next() => match seen {
                Some(_) => Ok(()),
                None => Err(client_error("closed".into())),
            },
            error = self.standing.broken(mark, &inbox) => Err(error),
            () = tokio::time::sleep(REQUEST_TIMEOUT) => Err(BusError::Timeout { what }),
        }
    }

    /// Sends what is queued, unsubscribes and closes the connection, `limit` at most. Other clones
    /// are of no use afterwards.
    pub async fn close(&self, limit: Duration) {
        let mut state = self.state();
        if self.client.drain().await.is_err() {
            return;
        }
        let closed = state.wait_for(|state| *state != BusState::Connected);
        if tokio::time::timeout(limit, closed).await.is_err() {
            tracing::warn!("the connection to the NATS server did not close in time");
        }
    }
}

pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
