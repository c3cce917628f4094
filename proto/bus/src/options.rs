//! Where and how to connect, and what must not show of it.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use async_nats::ServerAddr;
use tvtfleet_proto::model::secret::Secret;

use crate::backoff::Backoff;
use crate::closed_file;
use crate::error::BusError;
use crate::trust::{Lifetime, lifetime};

/// The largest credentials file that is read, in bytes. Real ones have about 1,000.
const CREDENTIALS_MAX: u64 = 64 * 1024;
const CREDENTIALS: &str = "credentials file";
/// The largest file with a user name and password that is read, in bytes.
const LOGIN_MAX: u64 = 4096;

/// A user name and its password.
pub(crate) type Login = (String, Secret);

/// Where and how to connect.
#[derive(Clone, Default)]
pub struct ConnectOptions {
    /// The servers, as `nats://host:4222`, `tls://…` or `wss://…`. One user name and password may
    /// stand in them, for all; fleets use credentials files.
    pub urls: Vec<String>,
    /// The name under which the server lists this connection.
    pub name: String,
    /// A NATS credentials file (JWT and seed) that only its owner can read.
    pub credentials_file: Option<PathBuf>,
    /// A file that holds `user:password` and that only its owner can read.
    pub login_file: Option<PathBuf>,
    /// The certificates of the authorities that may vouch for the server; else the system's.
    pub ca_file: Option<PathBuf>,
    /// The prefix of reply subjects. Without one it is `_INBOX.<user public key>` where there is a
    /// credentials file: the only one that the accounts of a fleet permit.
    pub inbox_prefix: Option<String>,
    /// Whether to keep trying until a server answers, as services do. Otherwise one try has to do.
    pub retry_initial: bool,
    /// Whether to refuse a server that lets anybody in.
    pub refuse_open_server: bool,
    /// A folder whose files may show rights of a group, as systemd's credentials do.
    pub guarded_folder: Option<PathBuf>,
}

/// Leaves out what a URL may hold between `//` and `@`.
impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("urls", &self.addresses().map(|addresses| shown(&addresses)))
            .field("name", &self.name)
            .field("credentials_file", &self.credentials_file)
            .field("login_file", &self.login_file)
            .field("ca_file", &self.ca_file)
            .field("inbox_prefix", &self.inbox_prefix)
            .field("retry_initial", &self.retry_initial)
            .field("refuse_open_server", &self.refuse_open_server)
            .field("guarded_folder", &self.guarded_folder)
            .finish()
    }
}

impl ConnectOptions {
    pub(crate) fn addresses(&self) -> Result<Vec<ServerAddr>, BusError> {
        if self.urls.is_empty() {
            return Err(BusError::Options("no NATS server is named".into()));
        }
        self.urls
            .iter()
            .enumerate()
            .map(|(index, url)| {
                // The text itself may hold a password.
                let position = index.saturating_add(1);
                url.parse().map_err(|_| {
                    BusError::Options(format!(
                        "NATS address number {position} is no address: write nats://HOST:PORT"
                    ))
                })
            })
            .collect()
    }

    /// Reads the credentials file, if there is one.
    pub(crate) fn credentials(&self) -> Result<Option<Credentials>, BusError> {
        let Some(path) = &self.credentials_file else {
            return Ok(None);
        };
        let text = closed_file::read(path, self.guarded_folder.as_deref(), CREDENTIALS_MAX)?;
        parse_credentials(text.expose())
            .map(Some)
            .map_err(|source| file_error(CREDENTIALS, path, source))
    }

    /// Reads from when to when the credentials file is good; `None` where there is no such file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, others can read it too, or its token cannot be understood.
    pub fn credentials_lifetime(&self) -> Result<Option<Lifetime>, BusError> {
        let (Some(path), Some(read)) = (&self.credentials_file, self.credentials()?) else {
            return Ok(None);
        };
        let unread = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        lifetime(&read.token)
            .map(Some)
            .map_err(|error| file_error(CREDENTIALS, path, unread(error)))
    }

    /// The user name and password of the login file, else of the addresses.
    pub(crate) fn login(&self, addresses: &[ServerAddr]) -> Result<Option<Login>, BusError> {
        let Some(path) = &self.login_file else {
            return login(addresses);
        };
        let text = closed_file::read(path, self.guarded_folder.as_deref(), LOGIN_MAX)?;
        let line = text.expose();
        let line = line.strip_suffix('\n').unwrap_or(line);
        match line.split_once(':') {
            Some((user, password)) if !user.is_empty() && !line.contains('\n') => {
                Ok(Some((user.to_owned(), Secret::new(password))))
            }
            _ => {
                let wrong = io::Error::new(io::ErrorKind::InvalidData, "not user:password");
                Err(file_error("login file", path, wrong))
            }
        }
    }

    /// The file with the authorities' certificates, if there is one. The client reads it only when it
    /// connects, and then does not name it.
    pub(crate) fn readable_ca_file(&self) -> Result<Option<&Path>, BusError> {
        let Some(path) = self.ca_file.as_deref() else {
            return Ok(None);
        };
        File::open(path).map_err(|source| file_error("CA file", path, source))?;
        Ok(Some(path))
    }
}

/// What is in a credentials file.
pub(crate) struct Credentials {
    /// The user's token; worth nothing without the key.
    pub(crate) token: String,
    /// The user's public key.
    pub(crate) user: String,
    key: nkeys::KeyPair,
}

impl Credentials {
    /// Signs a server's challenge.
    pub(crate) fn sign(&self, nonce: &[u8]) -> Result<Vec<u8>, nkeys::error::Error> {
        self.key.sign(nonce)
    }
}

fn file_error(what: &'static str, path: &Path, source: io::Error) -> BusError {
    BusError::File {
        what,
        path: path.to_owned(),
        source,
    }
}

/// Servers on this machine are tried again sooner.
pub(crate) fn backoff_for(addresses: &[ServerAddr]) -> Backoff {
    let local = |address: &ServerAddr| {
        let host = address.host();
        let ip = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || ip
                .parse()
                .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    };
    if addresses.iter().all(local) {
        Backoff::LOOPBACK
    } else {
        Backoff::NETWORK
    }
}

/// The user name and password in the addresses, which the client does not look for there.
fn login(addresses: &[ServerAddr]) -> Result<Option<Login>, BusError> {
    let Some(address) = addresses.iter().find(|address| address.has_user_pass()) else {
        return Ok(None);
    };
    let (Some(user), Some(password)) = (address.username(), address.password()) else {
        return Err(BusError::Options(
            "a NATS address has a user name and no password".to_owned(),
        ));
    };
    if user.contains('%') || password.contains('%') {
        let reason = "a NATS address has a password that must be escaped: use a credentials file";
        return Err(BusError::Options(reason.to_owned()));
    }
    Ok(Some((user.to_owned(), Secret::new(password))))
}

/// The addresses without credentials: the client writes addresses into its debug log.
pub(crate) fn bare(addresses: &[ServerAddr]) -> Result<Vec<ServerAddr>, BusError> {
    let unreadable = |_| BusError::Options("a NATS address cannot be used".to_owned());
    let one = |address: &ServerAddr| {
        if address.has_user_pass() {
            shown(std::slice::from_ref(address))
                .parse()
                .map_err(unreadable)
        } else {
            Ok(address.clone())
        }
    };
    addresses.iter().map(one).collect()
}

/// The addresses for people: without credentials.
pub(crate) fn shown(addresses: &[ServerAddr]) -> String {
    let one = |address: &ServerAddr| {
        let (scheme, host, port) = (address.scheme(), address.host(), address.port());
        if host.contains(':') && !host.starts_with('[') {
            format!("{scheme}://[{host}]:{port}")
        } else {
            format!("{scheme}://{host}:{port}")
        }
    };
    addresses.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Reads a token and a seed, each on the line after its title.
fn parse_credentials(text: &str) -> io::Result<Credentials> {
    let invalid =
        |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("no {what} in it"));
    let after = |title: &str| {
        let mut lines = text.lines().map(str::trim);
        lines.find(|line| line.contains(title))?;
        lines.find(|line| !line.is_empty())
    };
    let token = after("BEGIN NATS USER JWT").ok_or_else(|| invalid("user token"))?;
    let seed = after("BEGIN USER NKEY SEED").ok_or_else(|| invalid("user seed"))?;
    let key = nkeys::KeyPair::from_seed(seed).map_err(|_| invalid("usable seed"))?;
    Ok(Credentials {
        token: token.to_owned(),
        user: key.public_key(),
        key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::error::ErrorCode;

    fn options(urls: &[&str]) -> ConnectOptions {
        ConnectOptions {
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            ..ConnectOptions::default()
        }
    }

    #[test]
    fn passwords_in_addresses_do_not_show() {
        let options = options(&["nats://user:hunter2@127.0.0.1:4222", "wss://nats.example"]);
        let text = format!("{options:?}");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(
            text.contains("nats://127.0.0.1:4222, wss://nats.example:443"),
            "{text}"
        );
    }

    #[test]
    fn the_client_gets_no_password_with_the_address() {
        let addresses = options(&["tls://user:hunter2@nats.example:4443", "wss://b/path"])
            .addresses()
            .unwrap();
        let bare = bare(&addresses).unwrap();
        assert!(!format!("{bare:?}").contains("hunter2"));
        let local = options(&["nats://user:hunter2@[::1]:4222"])
            .addresses()
            .unwrap();
        assert_eq!(shown(&super::bare(&local).unwrap()), "nats://[::1]:4222");
        assert_eq!(bare[0].as_url_str(), "tls://nats.example:4443");
        assert_eq!(bare[1].as_url_str(), addresses[1].as_url_str());
        let login = login(&addresses).unwrap();
        let (user, password) = login.unwrap();
        assert_eq!((user.as_str(), password.expose()), ("user", "hunter2"));
    }

    #[test]
    fn bad_addresses_are_named_by_position_only() {
        let error = options(&["nats://ok", "nats://user:hunter2@[::1"])
            .addresses()
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConfigInvalid);
        assert!(error.to_string().contains("number 2"), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(
            options(&[]).addresses().unwrap_err().code(),
            ErrorCode::ConfigInvalid
        );
    }

    #[test]
    fn only_loopback_is_tried_again_quickly() {
        let backoff = |urls: &[&str]| backoff_for(&options(urls).addresses().unwrap());
        assert_eq!(
            backoff(&["127.0.0.1:4222", "nats://localhost"]),
            Backoff::LOOPBACK
        );
        assert_eq!(backoff(&["nats://[::1]:4222"]), Backoff::LOOPBACK);
        assert_eq!(
            backoff(&["127.0.0.1:4222", "nats://10.0.0.1"]),
            Backoff::NETWORK
        );
    }

    #[test]
    fn the_inbox_is_the_users_own() {
        let pair = nkeys::KeyPair::new_user();
        let text = crate::trust::credentials("a.b.c", &pair).unwrap();
        let read = parse_credentials(text.expose()).unwrap();
        assert_eq!(
            (read.user, read.token.as_str()),
            (pair.public_key(), "a.b.c")
        );
        let error = parse_credentials("nothing here").map(drop).unwrap_err();
        assert!(!error.to_string().contains("nothing"));
    }
}
