//! Writing inventories, whole ones and the list of what failed.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

use tvtfleet_proto::model::inventory::InventoryEntry;

use crate::render::json::ArrayWriter;

/// An entry of the failed list: an inventory entry, and why it is on the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FailedEntry<'a> {
    /// The address or host name.
    pub ip: Cow<'a, str>,
    /// The operator's name of the place.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub site: Cow<'a, str>,
    /// The operator's name of the device.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub hostname: Cow<'a, str>,
    /// The Ethernet address as the inventory wrote it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub mac: Cow<'a, str>,
    /// The port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The maker as the inventory wrote it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub manufacturer: Cow<'a, str>,
    /// The credential label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<&'a str>,
    /// The code of the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<Cow<'a, str>>,
    /// The failure, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Cow<'a, str>>,
}

impl<'a> From<&'a InventoryEntry> for FailedEntry<'a> {
    fn from(entry: &'a InventoryEntry) -> Self {
        Self {
            ip: Cow::Owned(entry.host.to_string()),
            site: Cow::Borrowed(&entry.site_label),
            hostname: Cow::Borrowed(&entry.hostname),
            mac: Cow::Borrowed(&entry.mac_text),
            port: entry.port,
            manufacturer: Cow::Borrowed(&entry.manufacturer),
            credential: entry.credential.as_ref().map(|label| label.as_str()),
            error_code: None,
            error: None,
        }
    }
}

/// Writes an inventory that [`super::read()`] and pytvt read.
///
/// # Errors
/// Those of the writer.
pub fn write<'a>(
    entries: impl IntoIterator<Item = &'a InventoryEntry>,
    writer: impl Write,
) -> io::Result<()> {
    write_failed(entries.into_iter().map(FailedEntry::from), writer)
}

/// Writes a list of entries with their failures; it can be read as an inventory.
///
/// # Errors
/// Those of the writer.
pub fn write_failed<'a>(
    entries: impl IntoIterator<Item = FailedEntry<'a>>,
    writer: impl Write,
) -> io::Result<()> {
    let mut array = ArrayWriter::new(writer);
    for entry in entries {
        array.element(&entry)?;
    }
    array.finish().map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::{InventoryFile, ReadOptions, read};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_has_only_the_keys_that_say_something() {
        let mut entry = InventoryEntry::bare("10.0.0.1".parse().unwrap());
        entry.site_label = "Süd".to_owned();
        entry.port = Some(7036);
        let mut bytes = Vec::new();
        write([&entry], &mut bytes).unwrap();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "[\n  {\n    \"ip\": \"10.0.0.1\",\n    \"site\": \"S\\u00fcd\",\n    \"port\": 7036\n  }\n]"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            octets in prop::collection::btree_set(any::<[u8; 4]>(), 0..20),
            site in "\\PC{0,12}",
            hostname in any::<String>(),
            port in prop::option::of(1_u16..),
        ) {
            let entries: Vec<InventoryEntry> = octets
                .into_iter()
                .filter(|octets| !matches!(octets, [169, 254, ..]))
                .map(|octets| InventoryEntry {
                    site_label: site.clone(),
                    hostname: hostname.clone(),
                    manufacturer: "TVT".to_owned(),
                    port,
                    ..InventoryEntry::bare(std::net::IpAddr::from(octets).to_string().parse().unwrap())
                })
                .collect();
            let mut bytes = Vec::new();
            write(&entries, &mut bytes).unwrap();
            let back = read(&bytes, &ReadOptions::default()).unwrap();
            prop_assert_eq!(back, InventoryFile { entries, dropped: Vec::new() });
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in any::<Vec<u8>>()) {
            let _: Result<InventoryFile, _> = read(&bytes, &ReadOptions::default());
        }
    }
}
