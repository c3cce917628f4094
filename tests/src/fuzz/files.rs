//! Files that users hand in.

use std::collections::BTreeSet;

use tvt_coordinator::inventory::file::{self, ReadOptions};
use tvt_coordinator::results;

/// Reads an inventory, writes it, and reads it again.
///
/// # Panics
///
/// Where an address stands twice in a site, or writing and reading changes the devices.
pub fn inventory_file(bytes: &[u8]) {
    let everything = ReadOptions {
        include_all: true,
        ..ReadOptions::default()
    };
    let _ = file::read(bytes, &ReadOptions::default());
    let Ok(inventory) = file::read(bytes, &everything) else {
        return;
    };
    let places: BTreeSet<_> = inventory
        .entries
        .iter()
        .map(|entry| (&entry.site_label, entry.endpoint(everything.default_port)))
        .collect();
    assert_eq!(
        places.len(),
        inventory.entries.len(),
        "an address stands once in a site"
    );
    for dropped in &inventory.dropped {
        assert!(dropped.position > 0, "positions begin at 1");
        assert!(!dropped.to_string().is_empty(), "what was dropped is told");
    }
    let mut written = Vec::new();
    let outcome = file::write(&inventory.entries, &mut written);
    assert!(outcome.is_ok(), "memory can be written");
    let again = file::read(&written, &everything);
    let again = again.map(|again| again.entries).ok();
    assert_eq!(
        again,
        Some(inventory.entries),
        "what is written can be read"
    );
}

/// Reads a result file, writes it, and reads it again.
///
/// # Panics
///
/// Where what was written cannot be read, or is another number of devices.
pub fn result_file(bytes: &[u8]) {
    let Ok(records) = results::read(bytes) else {
        return;
    };
    let mut written = Vec::new();
    let outcome = tvt_coordinator::render::json::write_results(&records, &mut written);
    assert!(outcome.is_ok(), "memory can be written");
    let again = results::read(&written).map(|again| again.len()).ok();
    assert_eq!(again, Some(records.len()), "what is written can be read");
}
