//! Inventory files of the command line, read together.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tvt_coordinator::inventory::file::{self, ReadOptions};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::inventory::InventoryEntry;

use crate::error::CliError;
use crate::files;
use crate::io::Io;

/// The largest inventory file, in bytes.
const INVENTORY_MAX: u64 = 256 * 1024 * 1024;

/// What inventory files hold together.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// The entries, in the order of the files and within them.
    pub(crate) entries: Vec<InventoryEntry>,
    /// How many entries cannot be used: somebody meant a device that nobody will ask.
    ///
    /// Entries that were left out on purpose (another maker, a repetition) do not count.
    pub(crate) unusable: usize,
    /// How many entries name another maker.
    pub(crate) other_makers: usize,
}

/// Reads inventory files and names every entry that is left out on stderr.
///
/// # Errors
///
/// `inventory.unreadable` or `inventory.malformed`.
pub(crate) fn read(
    paths: &[PathBuf],
    options: &ReadOptions,
    io: &Io,
) -> Result<Inventory, CliError> {
    let mut inventory = Inventory::default();
    let mut seen: BTreeMap<(String, Endpoint), PathBuf> = BTreeMap::new();
    for path in paths {
        let shown = path.display();
        let bytes = files::read(&io.resolve(path), INVENTORY_MAX).map_err(|error| {
            error.about(
                ErrorCode::InventoryUnreadable,
                format!("cannot read the inventory {shown}"),
            )
        })?;
        let file = file::read(&bytes, options).map_err(|error| {
            CliError::new(error.code(), format!("{shown} is no inventory"))
                .because(&error)
                .hint("an inventory is a JSON list of objects with at least an \"ip\"")
        })?;
        for dropped in &file.dropped {
            io.warn(&format!("{shown}: left out {dropped} [{}]", dropped.code));
            if dropped.code == ErrorCode::InventoryEntryInvalid {
                inventory.unusable = inventory.unusable.saturating_add(1);
            }
            if dropped.code == ErrorCode::InventoryEntryNotTvt {
                inventory.other_makers = inventory.other_makers.saturating_add(1);
            }
        }
        for entry in file.entries {
            let place = (
                entry.site_label.clone(),
                entry.endpoint(options.default_port),
            );
            if let Some(earlier) = seen.get(&place) {
                io.warn(&format!(
                    "{shown}: left out {}: {} has it too [{}]",
                    place.1,
                    earlier.display(),
                    ErrorCode::InventoryEntryDuplicate,
                ));
                continue;
            }
            seen.insert(place, path.clone());
            inventory.entries.push(entry);
        }
    }
    Ok(inventory)
}
