//! Settings of the web drivers.

use std::time::Duration;

/// Ports that are tried at most.
pub(crate) const PORTS_MAX: usize = 8;

/// A port of the web interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WebPort {
    /// The TCP port.
    pub port: u16,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// How the web interfaces are spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSettings {
    /// Where they are looked for, in this order; at most eight count.
    pub ports: Vec<WebPort>,
    /// Time to open a connection to one port.
    pub connect: Duration,
    /// Time for one request with its answer.
    pub request: Duration,
    /// How long a web API that was switched on may take to answer.
    pub service_start: Duration,
    /// Whether a recorder's pages may be told the password itself, as very old firmware wants it.
    pub legacy_login: bool,
    /// Which recorders' pages are sent a public key with the login, as the newest firmware wants it.
    pub key_login: KeyLogin,
}

/// When a login to a recorder's pages sends a public key. Never tried after another kind of login was
/// refused, nor the other way round: each counts as a failed try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyLogin {
    /// Never.
    #[default]
    Never,
    /// Where the recorder's greeting hints at it.
    Announced,
    /// Wherever the greeting does not rule it out.
    Always,
}

impl Default for WebSettings {
    fn default() -> Self {
        let port = |port, tls| WebPort { port, tls };
        Self {
            ports: vec![port(443, true), port(80, false), port(8080, false)],
            connect: Duration::from_secs(3),
            request: Duration::from_secs(10),
            service_start: Duration::from_secs(30),
            legacy_login: false,
            key_login: KeyLogin::Never,
        }
    }
}
