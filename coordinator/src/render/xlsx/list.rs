//! A list on as many sheets as it takes.

use rust_xlsxwriter::{
    ConditionalFormatCell, ConditionalFormatCellRule, ExcelDateTime, Format, Workbook, Worksheet,
    XlsxError,
};
use tvtfleet_proto::model::time::UtcMillis;

use super::style::Styles;
use super::table::Cell;

/// A column of a list.
pub(super) struct Column {
    pub(super) head: &'static str,
    /// In characters.
    pub(super) width: u16,
    /// Whether its head stands at the right, over numbers.
    pub(super) right: bool,
    /// Words that are marked in it.
    pub(super) marks: &'static [(&'static str, Mark)],
}

/// How a word is marked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    Good,
    Bad,
    Waiting,
}

/// A list and its sheets.
pub(super) struct List {
    /// The first sheet's name; the next ones have a number behind it.
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
    /// Columns that stay in sight at the left.
    pub(super) pinned: u16,
    /// What stands under the head where there are no rows.
    pub(super) empty: &'static str,
}

/// A column without marks.
pub(super) const fn column(head: &'static str, width: u16) -> Column {
    Column {
        head,
        width,
        right: false,
        marks: &[],
    }
}

/// A column of numbers.
pub(super) const fn numbers(head: &'static str, width: u16) -> Column {
    Column {
        right: true,
        ..column(head, width)
    }
}

/// What a cell holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Blank,
    Text(String),
    /// A number that is counted.
    Count(u64),
    /// A number that is a name.
    Number(i64),
    Moment(UtcMillis),
    /// Of one.
    Share(f64),
}

impl Value {
    /// Text, without what a sheet cannot hold.
    pub(super) fn text(text: &str) -> Self {
        match Cell::text(text) {
            Cell::Text(text) => Self::Text(Cell::plain(&text).into_owned()),
            Cell::Blank | Cell::Number(_) => Self::Blank,
        }
    }

    /// Text as a cell shows it.
    pub(super) fn shown(text: &str) -> String {
        match Self::text(text) {
            Self::Text(text) => text,
            Self::Blank | Self::Count(_) | Self::Number(_) | Self::Moment(_) | Self::Share(_) => {
                String::new()
            }
        }
    }

    /// A moment as files write it; text that is none stays text.
    pub(super) fn moment(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::text(text), Self::Moment)
    }
}

impl List {
    /// Whether a tab is one of this list's.
    pub(super) fn has(&self, tab: &str) -> bool {
        tab.strip_prefix(self.name).is_some_and(|rest| {
            rest.is_empty()
                || rest
                    .strip_prefix(' ')
                    .is_some_and(|number| number.parse::<u32>().is_ok())
        })
    }
}

/// Writes the list; a sheet takes at most `rows_max` rows with its head.
pub(super) fn write(
    workbook: &mut Workbook,
    styles: &Styles,
    list: &List,
    rows: impl Iterator<Item = Vec<Value>>,
    rows_max: u32,
) -> Result<(), XlsxError> {
    let mut sheets = Rows::begin(workbook, styles, list, rows_max)?;
    for row in rows {
        sheets.add(row)?;
    }
    sheets.finish()
}

/// A list that is being written.
pub(super) struct Rows<'w> {
    workbook: &'w mut Workbook,
    styles: &'w Styles,
    list: &'w List,
    rows_max: u32,
    /// The sheet's position in the workbook.
    sheet: usize,
    number: u32,
    /// The next row of the sheet.
    row: u32,
}

impl<'w> Rows<'w> {
    /// Begins the first sheet.
    pub(super) fn begin(
        workbook: &'w mut Workbook,
        styles: &'w Styles,
        list: &'w List,
        rows_max: u32,
    ) -> Result<Self, XlsxError> {
        let sheet = workbook.worksheets().len();
        let mut rows = Self {
            workbook,
            styles,
            list,
            rows_max,
            sheet,
            number: 0,
            row: 0,
        };
        rows.begin_sheet()?;
        Ok(rows)
    }

    /// Adds a row.
    pub(super) fn add(&mut self, values: impl IntoIterator<Item = Value>) -> Result<(), XlsxError> {
        if self.row == self.rows_max {
            self.end_sheet()?;
            self.sheet += 1;
            self.begin_sheet()?;
        }
        let sheet = self.workbook.worksheet_from_index(self.sheet)?;
        for (column, value) in (0_u16..).zip(values) {
            cell(sheet, self.styles, self.row, column, &value)?;
        }
        self.row += 1;
        Ok(())
    }

    /// Ends the last sheet.
    pub(super) fn finish(mut self) -> Result<(), XlsxError> {
        self.end_sheet()
    }

    fn begin_sheet(&mut self) -> Result<(), XlsxError> {
        self.number += 1;
        self.row = 1;
        let sheet = self.workbook.add_worksheet_with_constant_memory()?;
        match self.number {
            1 => sheet.set_name(self.list.name)?,
            number => sheet.set_name(format!("{} {number}", self.list.name))?,
        };
        head(sheet, self.styles, self.list)
    }

    fn end_sheet(&mut self) -> Result<(), XlsxError> {
        let sheet = self.workbook.worksheet_from_index(self.sheet)?;
        if self.row == 1 {
            sheet.write_string_with_format(1, 0, self.list.empty, &self.styles.remark)?;
            return Ok(());
        }
        foot(sheet, self.styles, self.list, self.row - 1)
    }
}

/// Writes one cell.
pub(super) fn cell(
    sheet: &mut Worksheet,
    styles: &Styles,
    row: u32,
    column: u16,
    value: &Value,
) -> Result<(), XlsxError> {
    match value {
        Value::Blank => sheet.write_blank(row, column, &styles.text)?,
        Value::Text(text) => {
            let format = if text.starts_with(['=', '+', '-', '@']) {
                &styles.quoted
            } else {
                &styles.text
            };
            sheet.write_string_with_format(row, column, text, format)?
        }
        Value::Count(count) => {
            sheet.write_number_with_format(row, column, real(*count), &styles.count)?
        }
        Value::Number(number) => {
            let number = u64::try_from(*number).unwrap_or(0);
            sheet.write_number_with_format(row, column, real(number), &styles.number)?
        }
        Value::Moment(at) => match ExcelDateTime::from_timestamp(at.millis().div_euclid(1000)) {
            Ok(moment) => sheet.write_datetime_with_format(row, column, &moment, &styles.moment)?,
            // A moment before 1900, as a clock that was never set may say.
            Err(_) => sheet.write_string_with_format(row, column, at.to_string(), &styles.text)?,
        },
        Value::Share(share) => {
            sheet.write_number_with_format(row, column, *share, &styles.share)?
        }
    };
    Ok(())
}

fn head(sheet: &mut Worksheet, styles: &Styles, list: &List) -> Result<(), XlsxError> {
    sheet.set_freeze_panes(1, list.pinned)?;
    for (number, column) in (0_u16..).zip(list.columns) {
        sheet.set_column_width(number, column.width)?;
        let format = if column.right {
            &styles.header_right
        } else {
            &styles.header
        };
        sheet.write_string_with_format(0, number, column.head, format)?;
    }
    sheet.set_row_height(0, 20)?;
    sheet.set_landscape();
    sheet.set_repeat_rows(0, 0)?;
    sheet.set_print_fit_to_pages(1, 0);
    Ok(())
}

fn foot(sheet: &mut Worksheet, styles: &Styles, list: &List, last: u32) -> Result<(), XlsxError> {
    let last_column = u16::try_from(list.columns.len().saturating_sub(1)).unwrap_or(u16::MAX);
    sheet.autofilter(0, 0, last, last_column)?;
    for (number, column) in (0_u16..).zip(list.columns) {
        for (word, mark) in column.marks {
            let rule = ConditionalFormatCell::new()
                .set_rule(ConditionalFormatCellRule::EqualTo(*word))
                .set_format(marked(styles, *mark));
            sheet.add_conditional_format(1, number, last, number, &rule)?;
        }
    }
    Ok(())
}

const fn marked(styles: &Styles, mark: Mark) -> &Format {
    match mark {
        Mark::Good => &styles.good,
        Mark::Bad => &styles.bad,
        Mark::Waiting => &styles.waiting,
    }
}

/// A count as a spreadsheet has it.
#[expect(
    clippy::as_conversions,
    reason = "a spreadsheet's numbers are doubles, and counts of devices fit them exactly"
)]
pub(super) const fn real(count: u64) -> f64 {
    count as f64
}

/// A count of things in memory.
pub(super) fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
