//! An existing tab: where its parts stand, and its cells.

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::events::attributes::Attributes;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::super::table::Table;
use super::refusal::Refusal;
use super::strings::{SharedStrings, plain_text};
use super::xml::{attributes, local, position, prefix};

/// The most cells of a tab that is read.
const CELLS_MAX: usize = 4_000_000;

/// A tab as it is. Ranges are positions in its text.
#[derive(Debug, Default)]
pub(super) struct ExistingSheet<'t> {
    /// The part's text.
    pub(super) text: &'t str,
    /// The prefix of its elements, with the colon.
    pub(super) prefix: String,
    /// The tag that tells the extent.
    pub(super) dimension: Option<Range<usize>>,
    /// The list of column widths, from its first to its last column's tag.
    pub(super) columns: Option<Range<usize>>,
    /// The last column that the list names, from 1.
    pub(super) last_column: u32,
    /// The rows with their enclosing element.
    pub(super) data: Range<usize>,
    /// The tag of the filter's range; its whole element.
    pub(super) filter: Option<Range<usize>>,
    /// The rows.
    pub(super) rows: Vec<OldRow<'t>>,
    has_tables: bool,
}

/// A row as it is.
#[derive(Debug)]
pub(super) struct OldRow<'t> {
    /// From 1.
    pub(super) number: u32,
    /// The start tag.
    pub(super) open: Range<usize>,
    /// Its cells, by column.
    pub(super) cells: Vec<OldCell<'t>>,
}

/// A cell as it is.
#[derive(Clone, Debug)]
pub(super) struct OldCell<'t> {
    /// From 0.
    pub(super) column: u32,
    /// Its start tag without the brackets.
    tag: &'t str,
    /// What is between its tags.
    pub(super) inner: Range<usize>,
    /// Its formula's element.
    pub(super) formula: Option<Range<usize>>,
    /// Its value as the file writes it: text, a number, or an index of the shared strings.
    value: Cow<'t, str>,
}

impl<'t> OldCell<'t> {
    /// Its attributes but for its place, as written.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&'t str, Cow<'t, str>)> + use<'t> {
        let from = self.tag.find(char::is_whitespace).unwrap_or(self.tag.len());
        let attributes = Attributes::new(self.tag, from).filter_map(Result::ok);
        attributes
            .map(|attribute| (attribute.key.into_inner(), attribute.value))
            .filter(|(name, _)| *name != "r")
    }

    /// An attribute as written.
    pub(super) fn attribute(&self, name: &str) -> Option<Cow<'t, str>> {
        self.attributes()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// What the cell shows, with numbers as they are written.
    pub(super) fn shown<'s>(&'s self, strings: &'s SharedStrings) -> &'s str {
        if self.attribute("t").as_deref() == Some("s") {
            strings.get(&self.value)
        } else {
            &self.value
        }
    }

    /// Whether there is anything in it.
    pub(super) fn is_filled(&self) -> bool {
        !self.value.is_empty() || self.formula.is_some()
    }
}

impl<'t> ExistingSheet<'t> {
    /// Reads a tab.
    pub(super) fn read(text: &'t str) -> Result<Self, Refusal> {
        Walk::new(text).run().map_err(|error| match error {
            Stop::Damaged(detail) => Refusal::damaged(format!("a tab: {detail}")),
            Stop::TooLarge => Refusal::TooLarge,
        })
    }

    /// Whether the tab is one that an earlier run or pytvt made: the first columns have our names,
    /// and no table object ties its header down. An empty tab is ours too.
    pub(super) fn is_ours(&self, table: &Table, strings: &SharedStrings) -> bool {
        if self.has_tables || self.data.is_empty() {
            return false;
        }
        let Some(header) = self.header() else {
            return self
                .rows
                .iter()
                .all(|row| row.cells.iter().all(|cell| !cell.is_filled()));
        };
        let first_is = |name: &str| {
            header
                .cells
                .iter()
                .any(|cell| cell.shown(strings).trim().eq_ignore_ascii_case(name))
        };
        table.columns.iter().take(2).all(|name| first_is(name))
    }

    /// The first row, where it holds anything.
    pub(super) fn header(&self) -> Option<&OldRow<'t>> {
        self.rows
            .iter()
            .find(|row| row.number == 1 && row.cells.iter().any(OldCell::is_filled))
    }

    /// Whether any cell is a formula.
    pub(super) fn has_formulas(&self) -> bool {
        self.rows
            .iter()
            .any(|row| row.cells.iter().any(|cell| cell.formula.is_some()))
    }
}

enum Stop {
    Damaged(String),
    TooLarge,
}

/// The pass over the text.
struct Walk<'t> {
    reader: Reader<&'t [u8]>,
    sheet: ExistingSheet<'t>,
    depth: u32,
    cells: usize,
    cell: Option<OldCell<'t>>,
    /// Where the element began whose end gives a range.
    opened: usize,
    value_from: Option<usize>,
    formula_from: Option<usize>,
}

impl<'t> Walk<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            reader: Reader::from_str(text),
            sheet: ExistingSheet {
                text,
                ..ExistingSheet::default()
            },
            depth: 0,
            cells: 0,
            cell: None,
            opened: 0,
            value_from: None,
            formula_from: None,
        }
    }

    fn run(mut self) -> Result<ExistingSheet<'t>, Stop> {
        loop {
            let from = position(&self.reader);
            let event = self
                .reader
                .read_event()
                .map_err(|error| Stop::Damaged(error.to_string()))?;
            let to = position(&self.reader);
            match event {
                Event::Start(tag) => {
                    self.start(&tag, from..to)?;
                    self.depth += 1;
                }
                Event::Empty(tag) => {
                    self.start(&tag, from..to)?;
                    self.end(local(tag.name().as_ref()), to..to)?;
                }
                Event::End(tag) => {
                    self.depth = self.depth.saturating_sub(1);
                    self.end(local(tag.name().as_ref()), from..to)?;
                }
                Event::DocType(_) => {
                    return Err(Stop::Damaged("it has a document type".to_owned()));
                }
                Event::Eof => break,
                Event::Text(_)
                | Event::CData(_)
                | Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_)
                | Event::GeneralRef(_) => {}
            }
        }
        if self.depth == 0 && !self.sheet.data.is_empty() {
            Ok(self.sheet)
        } else {
            Err(Stop::Damaged("no rows".to_owned()))
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>, at: Range<usize>) -> Result<(), Stop> {
        let name = tag.name();
        let of = |wanted: &str| -> Result<Option<String>, Stop> {
            let attributes = attributes(tag).map_err(Stop::Damaged)?;
            Ok(attributes
                .into_iter()
                .find(|(key, _)| key == wanted)
                .map(|(_, value)| value))
        };
        match (self.depth, local(name.as_ref())) {
            (0, _) => prefix(name.as_ref()).clone_into(&mut self.sheet.prefix),
            (1, "dimension") => self.sheet.dimension = Some(at),
            (1, "sheetData" | "autoFilter") => self.opened = at.start,
            (1, "tableParts") => self.sheet.has_tables = true,
            (2, "col") => {
                let last = of("max")?.and_then(|max| max.parse().ok()).unwrap_or(0);
                self.sheet.last_column = self.sheet.last_column.max(last);
                let start = self
                    .sheet
                    .columns
                    .as_ref()
                    .map_or(at.start, |range| range.start);
                self.sheet.columns = Some(start..at.end);
            }
            (2, "row") => {
                let next = self
                    .sheet
                    .rows
                    .last()
                    .map_or(1, |row| row.number.saturating_add(1));
                let number = of("r")?
                    .and_then(|number| number.parse().ok())
                    .unwrap_or(next);
                self.sheet.rows.push(OldRow {
                    number,
                    open: at,
                    cells: Vec::new(),
                });
            }
            (3, "c") => self.start_cell(tag, &at)?,
            (4, "v" | "is") => self.value_from = Some(at.end),
            (4, "f") => self.formula_from = Some(at.start),
            _ => {}
        }
        Ok(())
    }

    fn start_cell(&mut self, tag: &BytesStart<'_>, at: &Range<usize>) -> Result<(), Stop> {
        self.cells += 1;
        if self.cells > CELLS_MAX {
            return Err(Stop::TooLarge);
        }
        let attributes = attributes(tag).map_err(Stop::Damaged)?;
        let place = attributes
            .iter()
            .find(|(key, _)| key == "r")
            .map(|(_, place)| place.as_str());
        let next = self
            .sheet
            .rows
            .last()
            .and_then(|row| row.cells.last())
            .map_or(0, |c| c.column + 1);
        let column = place.and_then(column_of).unwrap_or(next);
        let tag = self.sheet.text.get(at.clone()).unwrap_or_default();
        let tag = tag
            .trim_start_matches('<')
            .trim_end_matches('>')
            .trim_end_matches('/');
        self.cell = Some(OldCell {
            column,
            tag,
            inner: at.end..at.end,
            formula: None,
            value: Cow::Borrowed(""),
        });
        Ok(())
    }

    fn end(&mut self, name: &str, at: Range<usize>) -> Result<(), Stop> {
        match (self.depth, name) {
            (1, "sheetData") => self.sheet.data = self.opened..at.end,
            (1, "autoFilter") => self.sheet.filter = Some(self.opened..at.end),
            (3, "c") => {
                if let (Some(mut cell), Some(row)) = (self.cell.take(), self.sheet.rows.last_mut())
                {
                    cell.inner.end = at.start.max(cell.inner.start);
                    row.cells.push(cell);
                }
            }
            (4, "v" | "is") => {
                let inner = self.value_from.take().map(|from| from..at.start);
                let inner = inner
                    .and_then(|inner| self.sheet.text.get(inner))
                    .unwrap_or_default();
                if let Some(cell) = &mut self.cell {
                    cell.value = if name == "is" {
                        simple_text(inner)
                    } else {
                        unescaped(inner)?
                    };
                }
            }
            (4, "f") => {
                if let (Some(cell), Some(from)) = (&mut self.cell, self.formula_from.take()) {
                    cell.formula = Some(from..at.end);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn unescaped(text: &str) -> Result<Cow<'_, str>, Stop> {
    quick_xml::escape::unescape(text).map_err(|error| Stop::Damaged(error.to_string()))
}

/// The text in a cell; borrowed where it is one run without escapes, as we write it.
fn simple_text(xml: &str) -> Cow<'_, str> {
    let simple = xml.split_once('>').and_then(|(open, rest)| {
        let name = open.strip_prefix('<')?.split_whitespace().next()?;
        let text = rest
            .strip_suffix('>')?
            .strip_suffix(name)?
            .strip_suffix("</")?;
        (local(name) == "t" && !text.contains(['<', '&', '\r'])).then_some(text)
    });
    simple.map_or_else(|| Cow::Owned(plain_text(xml)), Cow::Borrowed)
}

/// The column of a cell's place: `A1` is 0, `AB7` is 27.
fn column_of(place: &str) -> Option<u32> {
    let letters = place.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = letters.chars().try_fold(0_u32, |number, letter| {
        let digit = letter.to_ascii_uppercase().to_digit(36)?.checked_sub(9)?;
        number.checked_mul(26)?.checked_add(digit)
    })?;
    number.checked_sub(1).filter(|column| *column < 16_384)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        for (place, column) in [
            ("A1", Some(0)),
            ("Z9", Some(25)),
            ("AB7", Some(27)),
            ("7", None),
        ] {
            assert_eq!(column_of(place), column, "{place}");
        }
    }

    #[test]
    fn a_tab_is_read_with_its_positions() {
        let text = "<x:worksheet><x:dimension ref=\"A1:B2\"/><x:cols><x:col min=\"1\" max=\"2\"/>\
            </x:cols><x:sheetData><x:row r=\"1\"><x:c r=\"A1\" t=\"inlineStr\"><x:is><x:t>Camera &amp; Name</x:t>\
            </x:is></x:c></x:row><x:row><x:c s=\"3\"><x:f>1+1</x:f><x:v>2</x:v></x:c><x:c/></x:row>\
            </x:sheetData><x:autoFilter ref=\"A1:B2\"/></x:worksheet>";
        let Ok(sheet) = ExistingSheet::read(text) else {
            panic!("readable")
        };
        let strings = SharedStrings::default();
        assert_eq!((sheet.prefix.as_str(), sheet.last_column), ("x:", 2));
        assert_eq!(
            text.get(sheet.filter.clone().unwrap()),
            Some("<x:autoFilter ref=\"A1:B2\"/>")
        );
        let [header, row] = sheet.rows.as_slice() else {
            panic!("two rows")
        };
        assert_eq!(
            header.cells.first().unwrap().shown(&strings),
            "Camera & Name"
        );
        assert_eq!((row.number, row.cells.len()), (2, 2));
        let cell = row.cells.first().unwrap();
        assert_eq!(
            (cell.shown(&strings), cell.attribute("s").as_deref()),
            ("2", Some("3"))
        );
        assert_eq!(
            text.get(cell.formula.clone().unwrap()),
            Some("<x:f>1+1</x:f>")
        );
        assert_eq!(
            text.get(cell.inner.clone()),
            Some("<x:f>1+1</x:f><x:v>2</x:v>")
        );
        assert!(ExistingSheet::read("<worksheet><sheetData></worksheet>").is_err());
    }
}
