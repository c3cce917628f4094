//! Writing rows.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::super::table::Cell;
use super::xml::escape;

/// Writes the rows of a sheet as XML.
pub(super) struct RowWriter<'p> {
    prefix: &'p str,
    xml: String,
    row: u32,
}

impl<'p> RowWriter<'p> {
    /// Starts with no rows. `prefix` stands before the names of elements.
    pub(super) const fn new(prefix: &'p str) -> Self {
        Self {
            prefix,
            xml: String::new(),
            row: 0,
        }
    }

    /// Starts a row, which is numbered from 1. `open` is its start tag, where it had one.
    pub(super) fn start_row(&mut self, number: u32, open: Option<&str>) {
        self.row = number;
        match open {
            Some(open) => self.xml.push_str(open),
            None => {
                let p = self.prefix;
                self.push(format_args!("<{p}row r=\"{number}\">"));
            }
        }
    }

    /// Ends a row.
    pub(super) fn end_row(&mut self) {
        let p = self.prefix;
        self.push(format_args!("</{p}row>"));
    }

    /// Writes a cell of the row with a format.
    pub(super) fn cell(&mut self, column: u32, cell: &Cell, format: Option<&str>) {
        let (p, place) = (self.prefix, place(column, self.row));
        let format = format.map_or_else(String::new, |format| format!(" s=\"{}\"", escape(format)));
        match cell {
            Cell::Blank => self.push(format_args!("<{p}c r=\"{place}\"{format}/>")),
            Cell::Number(number) => {
                self.push(format_args!(
                    "<{p}c r=\"{place}\"{format}><{p}v>{number}</{p}v></{p}c>"
                ));
            }
            Cell::Text(text) => {
                let blank = text.starts_with(' ') || text.ends_with(' ') || text.contains("  ");
                let space = if blank { " xml:space=\"preserve\"" } else { "" };
                let text = escape(text);
                self.push(format_args!(
                    "<{p}c r=\"{place}\"{format} t=\"inlineStr\"><{p}is><{p}t{space}>{text}</{p}t></{p}is></{p}c>"
                ));
            }
        }
    }

    /// Writes a cell that was there, with its attributes as they were written, and what is in it.
    pub(super) fn old_cell<'a>(
        &mut self,
        column: u32,
        attributes: impl Iterator<Item = (&'a str, Cow<'a, str>)>,
        inner: &str,
    ) {
        let (p, place) = (self.prefix, place(column, self.row));
        self.push(format_args!("<{p}c r=\"{place}\""));
        for (name, value) in attributes {
            self.push(format_args!(" {name}=\"{}\"", value.replace('"', "&quot;")));
        }
        if inner.is_empty() {
            self.xml.push_str("/>");
        } else {
            self.push(format_args!(">{inner}</{p}c>"));
        }
    }

    /// The rows.
    pub(super) fn finish(self) -> String {
        self.xml
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        let written = self.xml.write_fmt(text);
        debug_assert!(written.is_ok(), "a string takes everything");
    }
}

/// The place of a cell: column from 0, row from 1.
pub(super) fn place(column: u32, row: u32) -> String {
    format!("{}{row}", letters(column))
}

/// The name of a column, from 0: `A`, `Z`, `AA`.
pub(super) fn letters(column: u32) -> String {
    let mut name = Vec::new();
    let mut rest = column.saturating_add(1);
    while rest > 0 {
        let digit = (rest - 1) % 26;
        name.push(char::from(
            b'A'.saturating_add(u8::try_from(digit).unwrap_or(0)),
        ));
        rest = (rest - 1) / 26;
    }
    name.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::letters;

    #[test]
    fn columns_have_letters() {
        let names: Vec<String> = [0, 25, 26, 27, 701, 702].map(letters).into();
        assert_eq!(names, ["A", "Z", "AA", "AB", "ZZ", "AAA"]);
    }
}
