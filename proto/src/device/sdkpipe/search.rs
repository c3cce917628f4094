//! What a search by the library found, as a claim of a discovery.

use std::net::Ipv4Addr;

use super::records::FoundRow;
use crate::device::probe::text::kept;
use crate::device::tvt::SoftwareVersion;
use crate::model::discovery::Claims;
use crate::model::mac::MacAddr;

/// What a device says of itself in a search; `None` without an address that it can be reached at.
///
/// UNCERTAIN: the word for the firmware's version is taken for that of the vendor's search on the wire,
/// which the library is said to use. One recorder seen by both would settle it.
#[must_use]
pub fn found(row: &FoundRow) -> Option<Claims> {
    let address = ip(&row.address)?;
    let version = Some(row.software).filter(|word| *word != 0);
    Some(Claims {
        mac: Some(MacAddr::from(row.mac)).filter(|mac| mac.is_unicast()),
        address: Some(address),
        name: kept(&row.name),
        model: kept(&row.model),
        vendor: kept(&row.brand),
        software_version: version
            .map(|word| SoftwareVersion(word).to_string())
            .unwrap_or_default(),
        data_port: row.data_port,
        http_port: row.http_port,
        subnet_mask: ip(&row.mask),
        gateway: ip(&row.gateway),
        type_code: Some(row.device_type),
        ..Claims::default()
    })
}

fn ip(text: &str) -> Option<Ipv4Addr> {
    let address: Ipv4Addr = text.trim().parse().ok()?;
    let is_hosts = !address.is_unspecified() && !address.is_broadcast() && !address.is_multicast();
    is_hosts.then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_without_an_address_is_no_device() {
        let row = |address: &str| FoundRow {
            address: address.into(),
            mac: [0x58, 0x5B, 0x69, 0, 0, 1],
            model: "TD-3316".into(),
            ..FoundRow::default()
        };
        let claims = found(&row(" 192.0.2.8 ")).unwrap();
        assert_eq!(claims.address, Some(Ipv4Addr::new(192, 0, 2, 8)));
        assert_eq!(claims.mac.unwrap().to_string(), "58:5B:69:00:00:01");
        assert_eq!(
            (claims.model.as_str(), claims.software_version),
            ("TD-3316", String::new())
        );
        for nowhere in [
            "",
            "0.0.0.0",
            "255.255.255.255",
            "234.55.55.55",
            "host",
            "1.2.3",
        ] {
            assert_eq!(found(&row(nowhere)), None, "{nowhere}");
        }
    }
}
