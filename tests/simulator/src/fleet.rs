//! Fleet files and the inventories that go with them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::device::DeviceSpec;

/// Maker in every inventory entry.
const MANUFACTURER: &str = "TVT";

/// Recorders to simulate: the content of a fleet file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fleet {
    /// The recorders, in file order.
    pub devices: Vec<DeviceSpec>,
}

/// Why a fleet cannot be loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The file cannot be read.
    #[error("cannot read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The file cannot be written.
    #[error("cannot write {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
    /// The text is no fleet.
    #[error("not a fleet file")]
    Format(#[source] serde_json::Error),
    /// Two devices have the same address.
    #[error("two devices at {0}")]
    Twice(SocketAddr),
}

/// One entry of a pytvt inventory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryEntry {
    /// Address of the recorder.
    pub ip: String,
    /// Site name.
    pub site: String,
    /// Host name.
    pub hostname: String,
    /// Hardware address.
    pub mac: String,
    /// TCP port of the recorder.
    pub port: u16,
    /// Maker.
    pub manufacturer: String,
}

impl Fleet {
    /// Reads the JSON of a fleet file.
    ///
    /// # Errors
    ///
    /// Text that is no fleet, or two devices at one address.
    pub fn from_json(text: &str) -> Result<Self, FleetError> {
        let fleet: Self = serde_json::from_str(text).map_err(FleetError::Format)?;
        let mut seen = BTreeSet::new();
        for device in fleet.devices.iter().filter(|device| device.port != 0) {
            let address = SocketAddr::new(device.ip, device.port);
            if !seen.insert(address) {
                return Err(FleetError::Twice(address));
            }
        }
        Ok(fleet)
    }

    /// Reads a fleet file.
    ///
    /// # Errors
    ///
    /// As [`Fleet::from_json`], or a file that cannot be read.
    pub fn load(path: &Path) -> Result<Self, FleetError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| FleetError::Read(path.to_owned(), error))?;
        Self::from_json(&text)
    }

    /// Writes a fleet file.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), FleetError> {
        save_json(path, self)
    }
}

impl InventoryEntry {
    /// Describes a recorder at the address where it listens.
    pub fn new(spec: &DeviceSpec, address: SocketAddr) -> Self {
        Self {
            ip: address.ip().to_string(),
            site: spec.site.clone(),
            hostname: spec.hostname.clone(),
            mac: spec.mac.to_string(),
            port: address.port(),
            manufacturer: MANUFACTURER.to_owned(),
        }
    }
}

/// Writes one inventory per site to `folder`, and all of them as `all.json`; returns the paths.
///
/// # Errors
///
/// A folder or file that cannot be written.
pub fn save_inventories(
    folder: &Path,
    entries: &[InventoryEntry],
) -> Result<Vec<PathBuf>, FleetError> {
    std::fs::create_dir_all(folder).map_err(|error| FleetError::Write(folder.to_owned(), error))?;
    let mut sites: BTreeMap<String, Vec<&InventoryEntry>> = BTreeMap::new();
    for entry in entries {
        sites.entry(file_stem(&entry.site)).or_default().push(entry);
    }
    let mut paths = vec![folder.join("all.json")];
    for path in &paths {
        save_json(path, &entries)?;
    }
    for (stem, entries) in sites {
        let path = folder.join(format!("{stem}.json"));
        save_json(&path, &entries)?;
        paths.push(path);
    }
    Ok(paths)
}

/// Makes a file name of a site name.
fn file_stem(site: &str) -> String {
    let stem: String = site
        .chars()
        .map(|letter| {
            if letter.is_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .collect();
    format!("site-{}", stem.to_lowercase())
}

fn save_json(path: &Path, value: &impl Serialize) -> Result<(), FleetError> {
    let failed = |error| FleetError::Write(path.to_owned(), error);
    let mut text = serde_json::to_string_pretty(value).map_err(|error| failed(error.into()))?;
    text.push('\n');
    std::fs::write(path, text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Kind;

    #[test]
    fn every_kind_of_the_examples_loads_and_saves_as_it_was() {
        let kinds = [
            "standard",
            "head",
            "absent",
            "silent",
            "close",
            "nocams",
            "tunnel_mute",
            "nul_tail",
            "ack_first",
            "unknown_reply",
            "banner1111",
            "drip",
        ];
        let text: Vec<String> = kinds
            .iter()
            .enumerate()
            .map(|(at, kind)| format!(r#"{{"ip": "127.0.0.{}", "kind": "{kind}"}}"#, at + 1))
            .collect();
        let fleet = Fleet::from_json(&format!("[{}]", text.join(","))).unwrap();
        let back: Vec<String> = fleet
            .devices
            .iter()
            .map(|device| {
                serde_json::to_value(device.kind)
                    .unwrap()
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(back, kinds);
        assert_eq!(fleet.devices[2].kind, Kind::Absent);
        let again = Fleet::from_json(&serde_json::to_string(&fleet).unwrap()).unwrap();
        assert_eq!(again, fleet);
    }

    #[test]
    fn one_address_is_for_one_device() {
        let text = r#"[{"ip": "127.0.0.1"}, {"ip": "127.0.0.1", "port": 6036}]"#;
        assert!(matches!(Fleet::from_json(text), Err(FleetError::Twice(_))));
        let free = r#"[{"ip": "127.0.0.1", "port": 0}, {"ip": "127.0.0.1", "port": 0}]"#;
        assert_eq!(Fleet::from_json(free).unwrap().devices.len(), 2);
    }
}
