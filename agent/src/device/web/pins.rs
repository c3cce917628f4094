//! Certificates of devices: signed by themselves, and known again by their fingerprint.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use sha2::{Digest, Sha256};

/// Fingerprints kept; a device beyond that is not spoken to over TLS.
const PINS_MAX: usize = 200_000;

/// The fingerprints of the certificates that devices showed first, by `host:port`.
///
/// With a file they outlive this process: one line each, the place and the SHA-256 of the certificate
/// in hexadecimal. To accept another certificate, its line is deleted.
#[derive(Debug, Default)]
pub struct CertificatePins {
    known: Mutex<BTreeMap<String, [u8; 32]>>,
    file: Option<PathBuf>,
}

/// Why the file of fingerprints cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// It cannot be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// A line is not what was written.
    #[error("{}: line {} is no fingerprint", .0.display(), .1)]
    Line(PathBuf, usize),
}

impl CertificatePins {
    /// Fingerprints that are kept in a file, which need not exist yet.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or was damaged: nothing is trusted anew in its place.
    pub fn open(path: &Path) -> Result<Self, PinError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(PinError::Read(path.to_owned(), error)),
        };
        let mut known = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let parsed = line
                .split_once(' ')
                .and_then(|(place, hex)| Some((place.to_owned(), fingerprint_of(hex)?)));
            let (place, pin) =
                parsed.ok_or_else(|| PinError::Line(path.to_owned(), number.saturating_add(1)))?;
            known.insert(place, pin);
        }
        Ok(Self {
            known: Mutex::new(known),
            file: Some(path.to_owned()),
        })
    }

    /// Whether a certificate is the one of this place; the first one is.
    fn check(&self, place: &str, certificate: &[u8]) -> bool {
        let shown: [u8; 32] = Sha256::digest(certificate).into();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pin) = known.get(place) {
            return *pin == shown;
        }
        if known.len() >= PINS_MAX {
            return false;
        }
        known.insert(place.to_owned(), shown);
        if let Err(error) = self.append(place, &shown) {
            tracing::warn!(%error, "the fingerprint of a certificate is not kept");
        }
        true
    }

    fn append(&self, place: &str, pin: &[u8; 32]) -> io::Result<()> {
        let Some(path) = &self.file else {
            return Ok(());
        };
        let mut line = format!("{place} ");
        for byte in pin {
            // Writing to a String cannot fail.
            let _ = write!(line, "{byte:02x}");
        }
        line.push('\n');
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?;
        io::Write::write_all(&mut file, line.as_bytes())?;
        file.sync_data()
    }
}

fn fingerprint_of(hex: &str) -> Option<[u8; 32]> {
    let mut pin = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (at, byte) in pin.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(pin)
}

/// Accepts the certificate that a place showed before, or the first one.
#[derive(Debug)]
pub(super) struct PinVerifier {
    pub(super) place: String,
    pub(super) pins: Arc<CertificatePins>,
    pub(super) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.pins.check(&self.place, certificate) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::InvalidCertificate(
            rustls::CertificateError::ApplicationVerificationFailure,
        ))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Whether an error is the refusal of a certificate that is not the one of its place.
pub(super) fn is_changed(error: &(dyn std::error::Error + 'static)) -> bool {
    let refusal =
        rustls::Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure);
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<rustls::Error>() == Some(&refusal) {
            return true;
        }
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .map(|inner| -> &(dyn std::error::Error + 'static) { inner });
        next = inner.or_else(|| error.source());
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_certificate_of_a_place_is_kept_and_another_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pins");
        let pins = CertificatePins::open(&path).unwrap();
        assert!(pins.check("10.0.0.1:443", b"one") && pins.check("10.0.0.1:443", b"one"));
        assert!(!pins.check("10.0.0.1:443", b"two"));
        assert!(pins.check("10.0.0.2:443", b"two"));
        let again = CertificatePins::open(&path).unwrap();
        assert!(
            !again.check("10.0.0.1:443", b"two"),
            "it outlives the process"
        );
        assert!(again.check("10.0.0.1:443", b"one"));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn a_damaged_file_is_not_taken_for_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pins");
        std::fs::write(&path, "10.0.0.1:443 abc\n").unwrap();
        assert!(matches!(
            CertificatePins::open(&path),
            Err(PinError::Line(_, 1))
        ));
    }
}
