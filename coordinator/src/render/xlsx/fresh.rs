//! New workbooks.

use std::io::{Seek, Write};

use rust_xlsxwriter::{
    Color, Format, FormatAlign, FormatBorder, Workbook, Worksheet, XlsxError as WriterError,
};

use super::table::{Cell, Table};

/// White on this blue: pytvt's header.
const HEADER_FILL: u32 = 0x0044_72C4;
const HEADER_FONT: u32 = 0x00FF_FFFF;

/// Writes a workbook of these tables, in this order. Rows go to a temporary file on their way, so
/// that memory does not grow with them.
pub(super) fn write(tables: &[Table], writer: impl Write + Seek + Send) -> Result<(), WriterError> {
    let mut workbook = Workbook::new();
    let header = Format::new()
        .set_bold()
        .set_font_size(11)
        .set_font_color(Color::RGB(HEADER_FONT))
        .set_background_color(Color::RGB(HEADER_FILL))
        .set_align(FormatAlign::Center)
        .set_align(FormatAlign::VerticalCenter)
        .set_border(FormatBorder::Thin);
    let body = Format::new().set_border(FormatBorder::Thin);
    for table in tables {
        let sheet = workbook.add_worksheet_with_constant_memory()?;
        fill(sheet, table, &header, &body)?;
    }
    workbook.save_to_writer(writer)
}

fn fill(
    sheet: &mut Worksheet,
    table: &Table,
    header: &Format,
    body: &Format,
) -> Result<(), WriterError> {
    sheet.set_name(table.name)?;
    sheet.set_freeze_panes(1, 0)?;
    for (column, width) in (0_u16..).zip(table.widths()) {
        sheet.set_column_width(column, width)?;
    }
    for (column, name) in (0_u16..).zip(table.columns) {
        sheet.write_string_with_format(0, column, *name, header)?;
    }
    for (row, cells) in (1_u32..).zip(&table.rows) {
        for (column, cell) in (0_u16..).zip(cells) {
            match cell {
                Cell::Blank => sheet.write_blank(row, column, body)?,
                Cell::Text(text) => {
                    sheet.write_string_with_format(row, column, Cell::plain(text), body)?
                }
                Cell::Number(number) => {
                    sheet.write_number_with_format(row, column, lossy(*number), body)?
                }
            };
        }
    }
    if !table.rows.is_empty() {
        let last_row = u32::try_from(table.rows.len()).unwrap_or(u32::MAX);
        let last_column = u16::try_from(table.columns.len().saturating_sub(1)).unwrap_or(u16::MAX);
        sheet.autofilter(0, 0, last_row, last_column)?;
    }
    Ok(())
}

/// A spreadsheet's numbers are doubles.
#[expect(
    clippy::as_conversions,
    reason = "no other conversion exists; numbers here are small"
)]
const fn lossy(number: i64) -> f64 {
    number as f64
}
