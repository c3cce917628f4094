//! The figures of a bench, as a table for people or as JSON for programs.

use std::io::{self, Write};

use anyhow::Result;
use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, TableStyle};
use serde_json::{Map, Value, json};

/// How figures are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table.
    #[default]
    Table,
    /// One JSON object.
    Json,
}

/// One line of figures. The keys are the table's columns and the JSON object's keys.
#[derive(Clone, Debug, Default)]
pub struct Row(Map<String, Value>);

impl Row {
    /// Adds a text.
    #[must_use]
    pub fn text(mut self, key: &str, text: impl Into<String>) -> Self {
        self.0.insert(key.to_owned(), Value::String(text.into()));
        self
    }

    /// Adds a whole number.
    #[must_use]
    pub fn count(mut self, key: &str, number: u64) -> Self {
        self.0.insert(key.to_owned(), number.into());
        self
    }

    /// Adds a number, rounded to so many digits behind the point; none where it is not finite.
    #[must_use]
    pub fn number(mut self, key: &str, number: f64, digits: i32) -> Self {
        let scale = 10_f64.powi(digits);
        self.0
            .insert(key.to_owned(), ((number * scale).round() / scale).into());
        self
    }

    /// Adds bytes as MiB.
    #[must_use]
    pub fn mebibytes(self, key: &str, bytes: u64) -> Self {
        self.number(key, real(bytes) / real(1024 * 1024), 1)
    }
}

/// A whole number as a real one; exact below 2^53, which is more than any figure here.
#[must_use]
#[expect(
    clippy::as_conversions,
    reason = "there is no other way, and figures are small"
)]
pub fn real(number: u64) -> f64 {
    number as f64
}

/// The figures of one bench.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Its name.
    pub bench: &'static str,
    /// What was done, and what was compared with what.
    pub about: String,
    /// The lines.
    pub rows: Vec<Row>,
    /// What was left out and why, and what else is to be known.
    pub notes: Vec<String>,
}

impl Figures {
    /// Figures without lines yet.
    #[must_use]
    pub fn new(bench: &'static str, about: impl Into<String>) -> Self {
        Self {
            bench,
            about: about.into(),
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Prints the figures to standard output.
    ///
    /// # Errors
    ///
    /// Standard output is closed.
    pub fn print(&self, format: Format) -> Result<()> {
        let mut out = io::stdout().lock();
        match format {
            Format::Table => self.write_table(&mut out)?,
            Format::Json => writeln!(out, "{}", self.to_json())?,
        }
        out.flush()?;
        Ok(())
    }

    fn to_json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| Value::Object(row.0.clone()))
            .collect();
        json!({
            "schema": 1,
            "bench": self.bench,
            "about": self.about,
            "machine": {
                "arch": std::env::consts::ARCH,
                "cores": std::thread::available_parallelism().map_or(0, |cores| cores.get()),
            },
            "notes": self.notes,
            "rows": rows,
        })
    }

    fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        let mut columns: Vec<&str> = Vec::new();
        for row in &self.rows {
            for key in row.0.keys() {
                if !columns.contains(&key.as_str()) {
                    columns.push(key);
                }
            }
        }
        let mut table = Table::new();
        table
            .load_style(TableStyle::new())
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(&columns);
        for row in &self.rows {
            table.add_row(columns.iter().map(|column| match row.0.get(*column) {
                None => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
            }));
        }
        for (at, column) in columns.iter().enumerate() {
            let numbers = self
                .rows
                .iter()
                .all(|row| row.0.get(*column).is_none_or(Value::is_number));
            if let (true, Some(column)) = (numbers, table.column_mut(at)) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        writeln!(out, "{}: {}\n", self.bench, self.about)?;
        for line in table.to_string().lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        if !self.notes.is_empty() {
            writeln!(out)?;
        }
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        Ok(())
    }
}

/// Says on standard error what a bench is doing.
pub fn say(text: &str) {
    // A closed standard error is no reason to stop.
    let _ = writeln!(io::stderr(), "… {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_of_all_rows_and_numbers_are_rounded() {
        let mut figures = Figures::new("x", "a with b");
        figures.rows.push(
            Row::default()
                .text("what", "one")
                .number("ratio", 1.2345, 2),
        );
        figures
            .rows
            .push(Row::default().text("what", "two").count("n", 12));
        let mut out = Vec::new();
        figures.write_table(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[2], ["what", "ratio", "n"]);
        assert_eq!(lines[3], ["one", "1.23"]);
        assert_eq!(lines[4], ["two", "12"]);
        assert_eq!(figures.to_json()["rows"][0]["ratio"], 1.23);
    }

    #[test]
    fn a_ratio_to_nothing_is_no_number() {
        let row = Row::default().number("ratio", 1.0 / 0.0, 1);
        assert_eq!(row.0["ratio"], Value::Null);
    }
}
