//! The list of devices that failed, to be fed back as an inventory.

use std::borrow::Cow;
use std::io::{self, Write};

use tvtfleet_proto::model::api::ResultRow;

use crate::inventory::file::{FailedEntry, write_failed};
use crate::results::ResultRecord;

/// Writes the devices that failed or are missing, in the order of the rows, and counts them.
///
/// Nothing failed is an empty list: a list of an earlier run must not stay as if it were this one's.
///
/// # Errors
/// Those of the writer.
pub fn write<'a>(
    rows: impl IntoIterator<Item = &'a ResultRow>,
    writer: impl Write,
) -> io::Result<usize> {
    let mut count = 0;
    let failed = rows.into_iter().filter(|row| !row.is_success()).map(|row| {
        count += 1;
        let record = ResultRecord::from(row);
        FailedEntry {
            site: Cow::Borrowed(row.site_label.as_str()),
            error_code: record.error_code,
            error: record.error,
            ..FailedEntry::from(&row.entry)
        }
    });
    write_failed(failed, writer)?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::inventory::file;

    #[test]
    fn the_list_names_what_failed_and_is_an_inventory() {
        let rows = sample::rows();
        let mut bytes = Vec::new();
        assert_eq!(write(&rows, &mut bytes).unwrap(), 2);
        let text = String::from_utf8(bytes).unwrap();
        let expected = "[\n  {\n    \"ip\": \"10.0.0.3\",\n    \"site\": \"Depot S\\u00fcd\",\n    \
            \"hostname\": \"rec-3\",\n    \"mac\": \"58:5B:69:00:00:03\",\n    \"port\": 7036,\n    \
            \"manufacturer\": \"TVT\",\n    \"error_code\": \"device.connect_refused\",\n    \
            \"error\": \"Connection refused\"\n  },";
        assert!(text.starts_with(expected), "{text}");
        let inventory = file::read(text.as_bytes(), &file::ReadOptions::default()).unwrap();
        let failed: Vec<_> = rows
            .iter()
            .filter(|row| !row.is_success())
            .map(|row| row.entry.clone())
            .collect();
        assert_eq!(inventory.entries, failed);
        let mut bytes = Vec::new();
        assert_eq!(write([], &mut bytes).unwrap(), 0);
        assert_eq!(bytes, b"[]");
    }
}
