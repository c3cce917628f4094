//! Certificates for the servers: from an authority of the fleet's own, or given.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::secret::Secret;
use tvtfleet_proto::model::time::UtcMillis;

use crate::error::CliError;

use super::fleet::ServerEntry;

/// For how many years the authority's certificate is good.
const AUTHORITY_YEARS: i16 = 20;
/// For how many years a server's certificate is good.
const SERVER_YEARS: i16 = 5;

/// Certificates that somebody else made.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    /// The servers' certificate with those between it and the authority's.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
    /// The certificate that vouches for it; none is one that every system knows.
    pub(crate) authority: Option<PathBuf>,
}

/// A certificate and its key, as PEM.
#[derive(Debug)]
pub(super) struct Pem {
    pub(super) certificate: String,
    pub(super) key: Secret,
}

/// Makes an authority.
pub(super) fn authority(fleet: &str, now: UtcMillis) -> Result<Pem, CliError> {
    let make = || -> Result<Pem, rcgen::Error> {
        let key = KeyPair::generate()?;
        let certificate = authority_params(fleet, now)?.self_signed(&key)?;
        Ok(Pem {
            certificate: certificate.pem(),
            key: Secret::new(key.serialize_pem()),
        })
    };
    make().map_err(|error| failed(&error))
}

/// Makes a certificate for a server, with which it may also speak to the other servers of a cluster.
/// `authority_key` is the key of the authority that [`authority`] made under this name.
pub(super) fn server(
    server: &ServerEntry,
    fleet: &str,
    authority_key: &str,
    now: UtcMillis,
) -> Result<Pem, CliError> {
    let make = || -> Result<Pem, rcgen::Error> {
        // Only its name and key go into what is signed here.
        let issuer = Issuer::new(
            authority_params(fleet, now)?,
            KeyPair::from_pem(authority_key)?,
        );
        let mut params = CertificateParams::new(vec![server.host.clone()])?;
        params.distinguished_name = named(&server.name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        set_life(&mut params, now, SERVER_YEARS);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        Ok(Pem {
            certificate: certificate.pem(),
            key: Secret::new(key.serialize_pem()),
        })
    };
    make().map_err(|error| failed(&error))
}

fn authority_params(fleet: &str, now: UtcMillis) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = named(&format!("{fleet} authority"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_life(&mut params, now, AUTHORITY_YEARS);
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut full = DistinguishedName::new();
    full.push(DnType::CommonName, name);
    full
}

/// Makes a certificate good from the day before `now`, for clocks that are off, for some years.
fn set_life(params: &mut CertificateParams, now: UtcMillis, years: i16) {
    let moment =
        jiff::Timestamp::from_millisecond(now.millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let today = moment.to_zoned(jiff::tz::TimeZone::UTC).date();
    let day = |date: jiff::civil::Date| {
        let number = |value: i8| u8::try_from(value).unwrap_or(1);
        rcgen::date_time_ymd(date.year().into(), number(date.month()), number(date.day()))
    };
    params.not_before = day(today.saturating_sub(jiff::Span::new().days(1)));
    params.not_after = day(today.saturating_add(jiff::Span::new().years(years)));
}

fn failed(error: &rcgen::Error) -> CliError {
    CliError::new(ErrorCode::Internal, "a certificate cannot be made").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_signs_for_names_and_addresses() {
        let now = UtcMillis::new(1_793_000_000_000);
        let authority = authority("test", now).unwrap();
        for host in ["nats.example", "127.0.0.1", "::1"] {
            let entry = ServerEntry {
                name: "a".into(),
                host: host.into(),
                port: 1,
                route_port: 2,
            };
            let pem = server(&entry, "test", authority.key.expose(), now).unwrap();
            assert!(pem.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
            assert!(!format!("{pem:?}").contains("PRIVATE"));
        }
    }
}
