//! Discovered devices: pytvt's table, its JSON records and its inventory, with additions at the end.

mod inventory;
mod record;
mod table;
#[cfg(test)]
mod tests;

pub use inventory::{Find, PortRule, ScannerEntry, scanner_entry, write_inventory};
pub use record::{DiscoveredRecord, write_records};
pub use table::{found_line, politeness_lines, write_table};
