//! Whose device an entry is.

use std::net::IpAddr;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::inventory::InventoryEntry;

use super::entry::Refusal;

/// Names under which TVT's devices are sold, in upper case: TVT itself and pytvt's other one.
const MAKERS: [&str; 2] = ["TVT", "UNIQUE"];

/// Passes an entry on that may be asked.
///
/// pytvt keeps an entry only where its maker or its MAC says TVT. Here entries that say nothing are
/// kept too, because an address alone is the documented minimum.
pub(super) fn check(entry: InventoryEntry, include_all: bool) -> Result<InventoryEntry, Refusal> {
    if entry.host.ip().is_some_and(is_link_local) {
        return Err(Refusal::new(
            ErrorCode::InventoryEntryLinkLocal,
            "a link-local address, which other networks have too",
        ));
    }
    match other_maker(&entry) {
        Some(reason) if !include_all => Err(Refusal::new(ErrorCode::InventoryEntryNotTvt, reason)),
        Some(_) | None => Ok(entry),
    }
}

fn other_maker(entry: &InventoryEntry) -> Option<String> {
    let mac = entry.mac();
    if mac.is_some_and(tvtfleet_proto::model::mac::MacAddr::is_tvt) {
        return None;
    }
    let maker = entry.manufacturer.trim();
    if maker.is_empty() {
        return mac.map(|mac| format!("the MAC {mac} is not TVT's, and no manufacturer is named"));
    }
    let upper = maker.to_uppercase();
    let first_word = upper
        .split(|c: char| !c.is_alphanumeric())
        .next()
        .unwrap_or_default();
    if MAKERS.contains(&first_word) {
        None
    } else {
        let maker: String = maker.chars().filter(|c| !c.is_control()).take(40).collect();
        Some(format!("made by {maker}, not TVT"))
    }
}

const fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_maker_is_named_by_word_or_mac() {
        let entry = |manufacturer: &str, mac: &str| InventoryEntry {
            manufacturer: manufacturer.to_owned(),
            mac_text: mac.to_owned(),
            ..InventoryEntry::bare("10.0.0.1".parse().unwrap())
        };
        let kept = [
            ("TVT", ""),
            (" tvt ", "44:19:B6:00:00:01"),
            ("TVT Digital", ""),
            ("unique", ""),
            ("Hikvision", "58-5b-69-00-00-01"),
            ("", "585b.6910.0016"),
            ("", "00:18:AE:00:00:01"),
            ("", ""),
            ("", "unknown"),
        ];
        for (manufacturer, mac) in kept {
            assert!(
                check(entry(manufacturer, mac), false).is_ok(),
                "{manufacturer} {mac}"
            );
        }
        for (manufacturer, mac) in [("Hikvision", ""), ("TVTX", ""), ("", "44:19:B6:00:00:01")] {
            let refusal = check(entry(manufacturer, mac), false).unwrap_err();
            assert_eq!(
                refusal.code,
                ErrorCode::InventoryEntryNotTvt,
                "{manufacturer} {mac}"
            );
            assert!(check(entry(manufacturer, mac), true).is_ok());
        }
    }
}
