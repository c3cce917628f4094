//! Putting our tabs into a workbook that is there already.
//!
//! A workbook is a zip package of parts. Reading it into a model and writing the model back loses
//! whatever the model does not know: charts, pictures, sparklines, macros. So nothing is read back:
//! the few parts that must change are spliced as text, and all others are copied as compressed
//! bytes. What changes:
//!
//! - our tabs' own parts: rows, extent and filter range; layout, comments and page setup stay;
//! - `workbook.xml`, its relationships and `[Content_Types].xml` where a tab is added;
//! - `styles.xml`, appended to, where our cell formats are missing;
//! - `calcChain.xml`, dropped where one of our tabs held formulas: the application rebuilds it.
//!
//! Columns that the user added to our tabs stay where they are, and their cells follow their row.

mod data;
mod merge;
mod package;
mod refusal;
mod sheet;
mod strings;
mod styles;
mod workbook;
mod xml;

pub use refusal::Refusal;

use super::table::Table;
use data::RowWriter;
use merge::Merged;
use package::Package;
use sheet::ExistingSheet;
use strings::SharedStrings;
use styles::Styles;
use workbook::{Tab, Workbook};

/// A workbook with our tabs in it.
#[derive(Debug)]
pub(super) struct Grafted {
    /// The file; equal to the old one where nothing differs.
    pub(super) bytes: Vec<u8>,
    /// How many channel rows of an earlier run make up the channel tab, where no device gave any.
    pub(super) kept_rows: Option<usize>,
}

/// Puts the tables into the workbook.
pub(super) fn graft(old: &[u8], tables: &[Table]) -> Result<Grafted, Refusal> {
    let mut package = Package::open(old)?;
    let mut workbook = Workbook::read(&package)?;
    let mut styles = Styles::read(&package, workbook.styles_part())?;
    let strings = SharedStrings::read(&package, workbook.shared_strings_part())?;
    let mut kept_rows = None;
    let mut held_formulas = false;
    for table in tables {
        let place = find_tab(&package, &workbook, &strings, table)?;
        let (tab, merged) = match place {
            Place::Existing(tab, sheet) => {
                held_formulas |= sheet.has_formulas();
                (
                    tab,
                    merge::into_existing(table, &sheet, &strings, &mut styles)?,
                )
            }
            Place::Free(name) => {
                let tab = workbook.add_tab(&package, &name);
                (tab, merge::as_new(table, &mut styles)?)
            }
        };
        let Merged { text, filter, kept } = merged;
        package.set(&tab.part, text);
        if let Some(filter) = filter {
            workbook.set_filter(&tab, &filter);
        }
        if table.rows.is_empty() && kept > 0 {
            kept_rows = Some(kept);
        }
    }
    if held_formulas {
        workbook.drop_calculation_chain(&mut package);
    }
    workbook.write(&mut package)?;
    styles.write(&mut package);
    Ok(Grafted {
        bytes: package.finish()?,
        kept_rows,
    })
}

/// The names of the tabs of a workbook that could be edited.
pub(super) fn tabs(old: &[u8]) -> Result<Vec<String>, Refusal> {
    let package = Package::open(old)?;
    Ok(Workbook::read(&package)?.tab_names())
}

enum Place<'p> {
    Existing(Tab, Box<ExistingSheet<'p>>),
    Free(String),
}

/// The most tabs of one name, `NVR Config (2)` and so on, that are looked at.
const TABS_TRIED: u32 = 9;

/// The tab of the table's name, or the first numbered one, that is ours or does not exist.
fn find_tab<'p>(
    package: &'p Package<'_>,
    workbook: &Workbook,
    strings: &SharedStrings,
    table: &Table,
) -> Result<Place<'p>, Refusal> {
    for number in 1..=TABS_TRIED {
        let name = match number {
            1 => table.name.to_owned(),
            _ => format!("{} ({number})", table.name),
        };
        let Some(tab) = workbook.tab(&name) else {
            return Ok(Place::Free(name));
        };
        if !tab.is_worksheet {
            continue;
        }
        let text = package.text(&tab.part)?;
        let sheet = ExistingSheet::read(text)?;
        if sheet.is_ours(table, strings) {
            return Ok(Place::Existing(tab, Box::new(sheet)));
        }
    }
    Err(Refusal::NoFreeTab { name: table.name })
}

#[cfg(test)]
mod tests;
