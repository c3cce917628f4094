//! The workbook of a discovery: the tab `Discovered Devices`.

use std::path::Path;

use super::table::{Cell, Table};
use super::{Trouble, WorkbookOutcome, write_at};
use crate::render::discovery::Find;

const COLUMNS: [&str; 13] = [
    "Type",
    "IP Address",
    "MAC",
    "Model",
    "Name",
    "Firmware",
    "Data Port",
    "HTTP Port",
    "Serial Number",
    "Scan Port",
    "Seen By",
    "Remarks",
    "Site",
];

/// Writes the devices to a workbook. One that is there already keeps its other tabs. The sites stand
/// in a column of their own where there are several.
///
/// # Errors
///
/// Why it cannot be written, for people; then the workbook is as it was.
pub fn write_discovered(finds: &[Find<'_>], path: &Path) -> Result<WorkbookOutcome, String> {
    let several = finds.windows(2).any(|pair| match pair {
        [a, b] => a.site != b.site,
        _ => false,
    });
    let table = Table {
        name: "Discovered Devices",
        columns: if several {
            &COLUMNS
        } else {
            COLUMNS
                .split_last()
                .map_or(&[], |(_, of_one_site)| of_one_site)
        },
        rows: finds.iter().map(|find| row(find, several)).collect(),
        keys: if several {
            &[&[12, 2], &[12, 1]]
        } else {
            &[&[2], &[1]]
        },
        ..Table::default()
    };
    write_at(path, &[table]).map_err(|trouble| match trouble {
        Trouble::Io(message) => message,
        Trouble::Refused(refusal) => format!("{}: {refusal}", path.display()),
    })
}

fn row(find: &Find<'_>, with_site: bool) -> Vec<Cell> {
    let device = find.device;
    let claims = &device.claims;
    let port = |port: u16| {
        if port == 0 {
            Cell::Blank
        } else {
            Cell::Number(i64::from(port))
        }
    };
    let words = |words: Vec<&str>| Cell::text(&words.join(", "));
    let mut cells = vec![
        Cell::text(device.device_type.as_str()),
        Cell::text(&device.address.to_string()),
        Cell::text(&claims.mac.map(|mac| mac.to_string()).unwrap_or_default()),
        Cell::text(&claims.model),
        Cell::text(&claims.name),
        Cell::text(&claims.software_version),
        port(claims.data_port),
        port(claims.http_port),
        Cell::text(&claims.serial),
        port(device.scan_port().unwrap_or(0)),
        words(
            device
                .methods
                .iter()
                .map(|method| method.as_str())
                .collect(),
        ),
        words(device.flags.iter().map(|flag| flag.as_str()).collect()),
    ];
    if with_site {
        cells.push(Cell::text(find.site));
    }
    cells
}
