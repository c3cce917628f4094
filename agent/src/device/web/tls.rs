//! TLS towards devices, whose certificates are signed by themselves.

use std::sync::{Arc, LazyLock};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};

use super::pins::{CertificatePins, PinVerifier};

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(ring::default_provider()));

/// What the connections to all devices share. It trusts nobody.
static SHARED: LazyLock<Result<ClientConfig, rustls::Error>> = LazyLock::new(|| {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    // A device is visited once, on one connection; room for sessions would be most of its memory.
    config.resumption = Resumption::disabled();
    Ok(config)
});

/// Settings for one place, `host:port`, which accept the certificate that it showed before.
///
/// # Errors
///
/// The cryptography that is built in does not fit the versions of TLS.
pub(super) fn config(
    place: String,
    pins: &Arc<CertificatePins>,
) -> Result<ClientConfig, rustls::Error> {
    let mut config = SHARED.clone()?;
    let verifier = PinVerifier {
        place,
        pins: Arc::clone(pins),
        provider: Arc::clone(&PROVIDER),
    };
    config
        .dangerous()
        .set_certificate_verifier(Arc::new(verifier));
    Ok(config)
}
