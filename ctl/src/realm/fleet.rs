//! What there is in a fleet: the content of `fleet.json`, without any secret.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tvtfleet_bus::trust::{AgentRevocation, AgentRotation, Role};
use tvtfleet_proto::model::id::TenantId;

/// The version of `fleet.json`.
pub(super) const SCHEMA: u32 = 1;
/// The port of clients where nobody names one.
const CLIENT_PORT: u16 = 4222;
/// The port of the other servers of a cluster where nobody names one.
const ROUTE_PORT: u16 = 6222;

/// What there is in a fleet.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fleet {
    pub(crate) schema: u32,
    /// The operator's name, for people.
    pub(crate) name: String,
    /// When the folder was made, in milliseconds since 1970.
    pub(crate) created_at: i64,
    /// Grows with each change that the coordinator must know.
    pub(crate) revision: u64,
    pub(crate) servers: Vec<ServerEntry>,
    /// The address on which the servers listen.
    pub(crate) listen: IpAddr,
    /// The port of WebSockets; none is no WebSockets.
    pub(crate) websocket_port: Option<u16>,
    /// The port of the servers' own figures, on loopback; none is no figures.
    pub(crate) monitor_port: Option<u16>,
    /// The folder in which a server's files stand on the server; none is where they were written.
    pub(crate) server_folder: Option<PathBuf>,
    /// The folder of a server's streams.
    pub(crate) store: PathBuf,
    /// The folder in which the coordinator's files stand on its computer; none is where they were
    /// written.
    pub(crate) coordinator_folder: Option<PathBuf>,
    /// The folder of the coordinator's database.
    pub(crate) coordinator_data: PathBuf,
    /// Whether the certificates for clients were given, so that the system's authorities vouch for them
    /// unless `keys/ca.pem` holds others.
    pub(crate) given_certificates: bool,
    pub(crate) tenants: BTreeMap<String, TenantEntry>,
    pub(crate) operators: BTreeMap<String, OperatorEntry>,
    /// Operators' keys that are not let in any more, with the moment until which tokens are refused.
    pub(crate) revoked_operators: BTreeMap<String, i64>,
    /// Agents that are not believed any more.
    pub(crate) revoked_agents: Vec<AgentRevocation>,
    /// Agents that are to change their keys and have not said that they did.
    #[serde(default)]
    pub(crate) rotations: Vec<AgentRotation>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerEntry {
    pub(crate) name: String,
    /// The name or address under which clients and the other servers reach it.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) route_port: u16,
}

/// One tenant.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantEntry {
    /// When it was added, in milliseconds since 1970.
    pub(crate) added_at: i64,
    /// The public key of its account.
    pub(crate) account: String,
    /// Agents' keys that are not let in any more, with the moment until which tokens are refused.
    pub(crate) revoked: BTreeMap<String, i64>,
}

/// One operator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OperatorEntry {
    /// When it was added, in milliseconds since 1970.
    pub(crate) added_at: i64,
    /// The public key with which it connects.
    pub(crate) user_key: String,
    pub(crate) role: Role,
    /// None is all.
    pub(crate) tenants: Vec<String>,
}

/// A server as the command line names it: `NAME=HOST[:PORT[/ROUTE_PORT]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerSpec(pub(crate) ServerEntry);

/// Not what a server is named like.
#[derive(Debug, thiserror::Error)]
#[error(
    "write NAME=HOST:PORT, for a cluster NAME=HOST:PORT/ROUTE_PORT; [..] around IPv6 addresses"
)]
pub(crate) struct BadServer;

impl FromStr for ServerSpec {
    type Err = BadServer;

    fn from_str(text: &str) -> Result<Self, BadServer> {
        let (name, rest) = text.split_once('=').ok_or(BadServer)?;
        let (address, route_port) = match rest.split_once('/') {
            Some((address, port)) => (address, port.parse().map_err(|_| BadServer)?),
            None => (rest, ROUTE_PORT),
        };
        let (host, port) = match address.strip_prefix('[') {
            Some(bracketed) => {
                let (host, rest) = bracketed.split_once(']').ok_or(BadServer)?;
                (host, rest.strip_prefix(':'))
            }
            None => match address.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (address, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().map_err(|_| BadServer)?,
            None => CLIENT_PORT,
        };
        // Names become file names and words of the servers' configuration.
        let plain = |text: &str, extra: &str| {
            !text.is_empty()
                && text.len() <= 253
                && text
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || extra.contains(letter))
        };
        if !plain(name, "-") || !plain(host, "-.:") {
            return Err(BadServer);
        }
        Ok(Self(ServerEntry {
            name: name.to_owned(),
            host: host.to_owned(),
            port,
            route_port,
        }))
    }
}

impl ServerEntry {
    /// The host and a port, as an address.
    pub(super) fn at(&self, port: u16) -> String {
        if self.host.contains(':') {
            format!("[{}]:{port}", self.host)
        } else {
            format!("{}:{port}", self.host)
        }
    }
}

impl Fleet {
    /// The addresses for clients.
    #[must_use]
    pub(crate) fn urls(&self) -> Vec<String> {
        self.servers
            .iter()
            .map(|server| format!("tls://{}", server.at(server.port)))
            .collect()
    }

    /// Whether there is more than one server.
    pub(super) fn is_cluster(&self) -> bool {
        self.servers.len() > 1
    }

    /// The tenants, as their ids.
    pub(super) fn tenant_ids(&self) -> impl Iterator<Item = (TenantId, &TenantEntry)> {
        self.tenants
            .iter()
            .filter_map(|(name, entry)| Some((name.parse().ok()?, entry)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_with_ports_or_without() {
        let read = |text: &str| text.parse::<ServerSpec>().map(|spec| spec.0);
        let a = read("a=nats.example").unwrap();
        assert_eq!(
            (a.host.as_str(), a.port, a.route_port),
            ("nats.example", 4222, 6222)
        );
        let b = read("b=[::1]:5000/5001").unwrap();
        assert_eq!(
            (b.at(b.port), b.at(b.route_port)),
            ("[::1]:5000".into(), "[::1]:5001".into())
        );
        for bad in [
            "", "a", "=h", "a=", "a=h:x", "a=h:1/x", "a=h\":1", "a/b=h", "a=[::1",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
