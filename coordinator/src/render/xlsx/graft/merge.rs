//! A table on a tab: a new one, or one with rows of an earlier run and columns of the user's.

use std::collections::HashMap;

use super::super::table::{Cell, Table};
use super::RowWriter;
use super::data::letters;
use super::refusal::Refusal;
use super::sheet::{ExistingSheet, OldCell, OldRow};
use super::strings::SharedStrings;
use super::styles::Styles;
use super::xml::{Splices, with_attribute};

const NAMESPACE: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";

/// A tab's new text.
pub(super) struct Merged {
    /// The part.
    pub(super) text: String,
    /// The range of its filter with dollar signs, where it has one.
    pub(super) filter: Option<String>,
    /// How many rows of an earlier run stay.
    pub(super) kept: usize,
}

/// Writes a tab that was not there.
pub(super) fn as_new(table: &Table, styles: &mut Styles) -> Result<Merged, Refusal> {
    let formats = Formats::of(styles)?;
    let mut rows = RowWriter::new("");
    rows.start_row(1, None);
    for (column, name) in (0_u32..).zip(table.columns) {
        rows.cell(column, &Cell::text(name), formats.header());
    }
    rows.end_row();
    for (number, cells) in (2_u32..).zip(&table.rows) {
        rows.start_row(number, None);
        for (column, cell) in (0_u32..).zip(cells) {
            rows.cell(column, cell, formats.body());
        }
        rows.end_row();
    }
    let widths: String = (1_u32..)
        .zip(table.widths())
        .map(|(at, width)| col("", at, width))
        .collect();
    let extent = Extent::new(table.columns.len(), table.rows.len());
    let filter =
        (!table.rows.is_empty()).then(|| format!("<autoFilter ref=\"{}\"/>", extent.range()));
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<worksheet xmlns=\"{NAMESPACE}\">\
         <dimension ref=\"{}\"/><sheetViews><sheetView workbookViewId=\"0\">\
         <pane ySplit=\"1\" topLeftCell=\"A2\" activePane=\"bottomLeft\" state=\"frozen\"/></sheetView>\
         </sheetViews><sheetFormatPr defaultRowHeight=\"15\"/><cols>{widths}</cols>\
         <sheetData>{}</sheetData>{}</worksheet>",
        extent.range(),
        rows.finish(),
        filter.as_deref().unwrap_or_default(),
    );
    Ok(Merged {
        text,
        filter: filter.map(|_| extent.absolute()),
        kept: 0,
    })
}

/// Writes a table onto a tab of ours. Columns stay where they are; those of the user's keep their
/// cells, each with its row; ours that are missing come at the right.
pub(super) fn into_existing(
    table: &Table,
    sheet: &ExistingSheet<'_>,
    strings: &SharedStrings,
    styles: &mut Styles,
) -> Result<Merged, Refusal> {
    let layout = Layout::of(table, sheet, strings);
    let formats = Formats::of(styles)?;
    let mut old_rows = OldRows::new(table, sheet, strings, &layout);
    let mut rows = RowWriter::new(&sheet.prefix);
    write_header(&mut rows, table, sheet, &layout, &formats);
    let mut number = 1;
    for cells in &table.rows {
        number += 1;
        let old = old_rows.take(cells);
        rows.start_row(number, None);
        for (column, content) in (0_u32..).zip(&layout.columns) {
            let old_cell = old.and_then(|row| cell_at(row, column));
            match content {
                Column::Ours(index) => {
                    let own = old_cell.and_then(|cell| cell.attribute("s"));
                    let format = own.as_deref().or(formats.body());
                    rows.cell(column, cells.get(*index).unwrap_or(&Cell::Blank), format);
                }
                Column::Users => {
                    if let (Some(row), Some(cell)) = (old, old_cell) {
                        carry(&mut rows, sheet, row, cell, number);
                    }
                }
            }
        }
        rows.end_row();
    }
    let mut kept = 0;
    for row in old_rows.kept(table, strings, &layout) {
        kept += 1;
        number += 1;
        rows.start_row(number, None);
        for (column, content) in (0_u32..).zip(&layout.columns) {
            match (table.stale_mark, cell_at(row, column)) {
                (Some((index, mark)), old) if *content == Column::Ours(index) => {
                    let own = old.and_then(|cell| cell.attribute("s"));
                    rows.cell(column, &Cell::text(mark), own.as_deref().or(formats.body()));
                }
                (_, Some(cell)) => carry(&mut rows, sheet, row, cell, number),
                (_, None) => {}
            }
        }
        rows.end_row();
    }
    let extent = Extent {
        columns: layout.columns.len(),
        last_row: number,
    };
    let text = splice(table, sheet, &layout, &extent, &rows.finish());
    let filter = sheet.filter.is_some().then(|| extent.absolute());
    Ok(Merged { text, filter, kept })
}

/// What stands in a column of a tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    /// A column of the table, by its position there.
    Ours(usize),
    /// Something of the user's.
    Users,
}

struct Layout {
    columns: Vec<Column>,
    /// Where the columns begin that were not there.
    added_from: usize,
}

impl Layout {
    fn of(table: &Table, sheet: &ExistingSheet<'_>, strings: &SharedStrings) -> Self {
        let mut columns: Vec<Column> = Vec::new();
        let used = sheet
            .rows
            .iter()
            .flat_map(|row| &row.cells)
            .filter(|cell| cell.is_filled());
        let width = used.map(|cell| cell.column + 1).max().unwrap_or(0);
        for at in 0..width {
            let header = sheet.header().and_then(|row| cell_at(row, at));
            let name = header
                .map(|cell| cell.shown(strings).trim())
                .unwrap_or_default();
            let ours = table
                .columns
                .iter()
                .position(|column| column.eq_ignore_ascii_case(name))
                .filter(|index| !columns.contains(&Column::Ours(*index)));
            columns.push(ours.map_or(Column::Users, Column::Ours));
        }
        let added_from = columns.len();
        for index in 0..table.columns.len() {
            if !columns.contains(&Column::Ours(index)) {
                columns.push(Column::Ours(index));
            }
        }
        Self {
            columns,
            added_from,
        }
    }

    /// Where a column of the table was on the tab already.
    fn column_of(&self, index: usize) -> Option<u32> {
        let at = self
            .columns
            .iter()
            .position(|column| *column == Column::Ours(index))?;
        u32::try_from(at).ok().filter(|_| at < self.added_from)
    }
}

/// The formats of our cells, as attribute values.
struct Formats(Option<(String, String)>);

impl Formats {
    fn of(styles: &mut Styles) -> Result<Self, Refusal> {
        let formats = styles.formats()?;
        Ok(Self(formats.map(|(header, body)| {
            (header.to_string(), body.to_string())
        })))
    }

    fn header(&self) -> Option<&str> {
        self.0.as_ref().map(|(header, _)| header.as_str())
    }

    fn body(&self) -> Option<&str> {
        self.0.as_ref().map(|(_, body)| body.as_str())
    }
}

/// The rows of each key, last first.
type RowsOfKeys = HashMap<Vec<String>, Vec<usize>>;

/// The rows of the earlier run, found by what they are about.
struct OldRows<'s, 't> {
    sheet: &'s ExistingSheet<'t>,
    /// For each set of key columns that the tab has.
    by_key: Vec<(&'static [usize], RowsOfKeys)>,
    used: Vec<bool>,
}

impl<'s, 't> OldRows<'s, 't> {
    fn new(
        table: &Table,
        sheet: &'s ExistingSheet<'t>,
        strings: &SharedStrings,
        layout: &Layout,
    ) -> Self {
        let mut by_key = Vec::new();
        for columns in table.keys {
            let Some(places) = columns
                .iter()
                .map(|index| layout.column_of(*index))
                .collect::<Option<Vec<u32>>>()
            else {
                continue;
            };
            let mut rows = RowsOfKeys::new();
            for (index, row) in sheet
                .rows
                .iter()
                .enumerate()
                .rev()
                .filter(|(_, row)| row.number > 1)
            {
                let key: Vec<String> = places
                    .iter()
                    .map(|place| {
                        cell_at(row, *place)
                            .map_or("", |cell| cell.shown(strings))
                            .to_owned()
                    })
                    .collect();
                if key.iter().all(|part| !part.is_empty()) {
                    rows.entry(key).or_default().push(index);
                }
            }
            by_key.push((*columns, rows));
        }
        Self {
            sheet,
            by_key,
            used: vec![false; sheet.rows.len()],
        }
    }

    /// The old row of a new one, which then is no other's.
    fn take(&mut self, cells: &[Cell]) -> Option<&'s OldRow<'t>> {
        for (columns, rows) in &mut self.by_key {
            let key: Vec<String> = columns
                .iter()
                .map(|index| cells.get(*index).map_or(String::new(), Cell::shown))
                .collect();
            let Some(queue) = rows.get_mut(&key) else {
                continue;
            };
            while let Some(index) = queue.pop() {
                if let Some(used) = self.used.get_mut(index).filter(|used| !**used) {
                    *used = true;
                    return self.sheet.rows.get(index);
                }
            }
        }
        None
    }

    /// Rows left over whose device could not be read this time, or may be such: those of pytvt name
    /// no device.
    fn kept(&self, table: &Table, strings: &SharedStrings, layout: &Layout) -> Vec<&'s OldRow<'t>> {
        let place = table.owner.and_then(|owner| layout.column_of(owner));
        let is_kept = |row: &&OldRow<'_>| {
            let cell = place.and_then(|place| cell_at(row, place));
            let owner = cell.map_or("", |cell| cell.shown(strings));
            let may_be_any = owner.is_empty() && row.cells.iter().any(OldCell::is_filled);
            table.keep.iter().any(|kept| may_be_any || kept == owner)
        };
        let rows = self.sheet.rows.iter().zip(&self.used);
        rows.filter(|(row, used)| row.number > 1 && !**used)
            .map(|(row, _)| row)
            .filter(is_kept)
            .collect()
    }
}

fn write_header(
    rows: &mut RowWriter<'_>,
    table: &Table,
    sheet: &ExistingSheet<'_>,
    layout: &Layout,
    formats: &Formats,
) {
    let header = sheet.header();
    // A tag that names its columns would no longer be true.
    let open = header.and_then(|row| sheet.text.get(row.open.clone()));
    let open = open.filter(|open| !open.contains("spans=") && !open.ends_with("/>"));
    rows.start_row(1, open);
    for (at, content) in layout.columns.iter().enumerate() {
        let Ok(column) = u32::try_from(at) else {
            continue;
        };
        let old = header
            .and_then(|row| cell_at(row, column))
            .filter(|_| at < layout.added_from);
        match (old, content) {
            (Some(cell), _) => {
                rows.old_cell(
                    column,
                    cell.attributes(),
                    sheet.text.get(cell.inner.clone()).unwrap_or_default(),
                );
            }
            (None, Column::Ours(index)) => {
                let name = table.columns.get(*index).copied().unwrap_or_default();
                rows.cell(column, &Cell::text(name), formats.header());
            }
            (None, Column::Users) => {}
        }
    }
    rows.end_row();
}

/// Writes an old cell into a row. A formula stays only where its row does: elsewhere its references
/// would be wrong, and its last value stands in for it.
fn carry(
    rows: &mut RowWriter<'_>,
    sheet: &ExistingSheet<'_>,
    row: &OldRow<'_>,
    cell: &OldCell<'_>,
    number: u32,
) {
    let inner = sheet.text.get(cell.inner.clone()).unwrap_or_default();
    let Some(formula) = cell.formula.clone().filter(|_| row.number != number) else {
        rows.old_cell(cell.column, cell.attributes(), inner);
        return;
    };
    let before = sheet
        .text
        .get(cell.inner.start..formula.start)
        .unwrap_or_default();
    let after = sheet
        .text
        .get(formula.end..cell.inner.end)
        .unwrap_or_default();
    let attributes = cell.attributes().filter(|(name, _)| *name != "cm");
    rows.old_cell(cell.column, attributes, &format!("{before}{after}"));
}

fn splice(
    table: &Table,
    sheet: &ExistingSheet<'_>,
    layout: &Layout,
    extent: &Extent,
    rows: &str,
) -> String {
    let p = sheet.prefix.as_str();
    let mut splices = Splices::default();
    if let Some(dimension) = &sheet.dimension {
        let tag = sheet.text.get(dimension.clone()).unwrap_or_default();
        splices.put(
            dimension.clone(),
            with_attribute(tag, "ref", &extent.range()),
        );
    }
    let widths = table.widths();
    let mut added = String::new();
    for (at, content) in (1_u32..).zip(&layout.columns) {
        if let (Column::Ours(index), true) = (content, at > sheet.last_column) {
            added.push_str(&col(p, at, widths.get(*index).copied().unwrap_or(10)));
        }
    }
    let mut data = format!("<{p}sheetData>{rows}</{p}sheetData>");
    match &sheet.columns {
        Some(columns) => splices.put(columns.end..columns.end, added),
        None if !added.is_empty() => data = format!("<{p}cols>{added}</{p}cols>{data}"),
        None => {}
    }
    splices.put(sheet.data.clone(), data);
    if let Some(filter) = &sheet.filter {
        splices.put(
            filter.clone(),
            format!("<{p}autoFilter ref=\"{}\"/>", extent.range()),
        );
    }
    splices.apply(sheet.text)
}

fn col(prefix: &str, number: u32, width: u32) -> String {
    format!("<{prefix}col min=\"{number}\" max=\"{number}\" width=\"{width}\" customWidth=\"1\"/>")
}

fn cell_at<'r, 't>(row: &'r OldRow<'t>, column: u32) -> Option<&'r OldCell<'t>> {
    row.cells.iter().find(|cell| cell.column == column)
}

/// How far the rows reach.
struct Extent {
    columns: usize,
    last_row: u32,
}

impl Extent {
    fn new(columns: usize, rows: usize) -> Self {
        Self {
            columns,
            last_row: u32::try_from(rows + 1).unwrap_or(u32::MAX),
        }
    }

    fn last_letters(&self) -> String {
        letters(u32::try_from(self.columns.saturating_sub(1)).unwrap_or(0))
    }

    fn range(&self) -> String {
        format!("A1:{}{}", self.last_letters(), self.last_row)
    }

    fn absolute(&self) -> String {
        format!("$A$1:${}${}", self.last_letters(), self.last_row)
    }
}
