//! The certificate that a server shows: the only way to learn when it ends where nobody can look at the
//! server's own files.

use std::sync::Arc;
use std::time::Duration;

use async_nats::ServerAddr;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::connect::ConnectOptions;
use crate::error::BusError;
use crate::options::shown;

/// One server's time to show its certificate.
const LIMIT: Duration = Duration::from_secs(5);
/// The longest greeting that is read, in bytes.
const GREETING_MAX: u64 = 64 * 1024;

/// What one server showed.
#[derive(Debug)]
pub struct Shown {
    /// Its address, without credentials.
    pub server: String,
    /// Its certificate in DER; `None` where it speaks without TLS. The error is a fragment of a
    /// sentence: the server cannot be reached, or its certificate is not to be trusted.
    pub certificate: Result<Option<Vec<u8>>, String>,
}

/// Asks every server of the options for its certificate. It is checked as for a connection, and the
/// connection ends before a login.
///
/// # Errors
///
/// `config.invalid` where there are no addresses.
pub async fn shown_by_servers(options: &ConnectOptions) -> Result<Vec<Shown>, BusError> {
    let mut all = Vec::new();
    for address in options.addresses()? {
        let looked = timeout(LIMIT, look(options, &address)).await;
        all.push(Shown {
            server: shown(std::slice::from_ref(&address)),
            certificate: looked.unwrap_or_else(|_| Err("no answer in time".to_owned())),
        });
    }
    Ok(all)
}

async fn look(options: &ConnectOptions, address: &ServerAddr) -> Result<Option<Vec<u8>>, String> {
    let text = |error: std::io::Error| error.to_string();
    let host = address.host().trim_matches(['[', ']']).to_owned();
    let stream = TcpStream::connect((host.as_str(), address.port()))
        .await
        .map_err(text)?;
    let mut stream = BufReader::new(stream);
    match address.scheme() {
        "ws" => return Ok(None),
        "wss" => {}
        scheme => {
            // The server greets in clear, and changes to TLS then.
            let mut greeting = Vec::new();
            let mut limited = (&mut stream).take(GREETING_MAX);
            limited
                .read_until(b'\n', &mut greeting)
                .await
                .map_err(text)?;
            if scheme != "tls" && !requires_tls(&greeting) {
                return Ok(None);
            }
        }
    }
    let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::new(config(options)?));
    let session = connector.connect(name, stream).await.map_err(text)?;
    let (_, session) = session.get_ref();
    let shown = session.peer_certificates().and_then(<[_]>::first);
    Ok(shown.map(|certificate| certificate.as_ref().to_vec()))
}

/// Reads the greeting `INFO {…}`.
fn requires_tls(greeting: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Info {
        #[serde(default)]
        tls_required: bool,
    }
    let json = greeting.strip_prefix(b"INFO ").unwrap_or_default();
    serde_json::from_slice::<Info>(json).is_ok_and(|info| info.tls_required)
}

fn config(options: &ConnectOptions) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    // As the client has them: the file's beside the system's.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &options.ca_file {
        let certificates =
            CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
        roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_say_whether_tls_follows() {
        assert!(requires_tls(b"INFO {\"tls_required\":true,\"x\":1}\r\n"));
        assert!(!requires_tls(b"INFO {\"x\":1}\r\n"));
        assert!(!requires_tls(b"220 mail.example ESMTP\r\n"));
        assert!(!requires_tls(b""));
    }
}
