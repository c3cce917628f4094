//! One side of a comparison.

use tvtfleet_proto::model::api::ResultRow;

use crate::results::ResultRecord;

/// The devices of one scan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scan<'a> {
    records: Vec<ResultRecord<'a>>,
}

impl<'a> Scan<'a> {
    /// A scan from the coordinator's rows.
    #[must_use]
    pub fn from_rows(rows: &'a [ResultRow]) -> Self {
        Self::from_records(rows.iter().map(ResultRecord::from).collect())
    }

    /// A scan from the records of a file.
    #[must_use]
    pub fn from_records(mut records: Vec<ResultRecord<'a>>) -> Self {
        for record in &mut records {
            // The comparison looks at each channel once.
            record.device_info.cameras = None;
            record.attempts = Vec::new();
        }
        Self { records }
    }

    /// The devices, in the order they came.
    #[must_use]
    pub fn records(&self) -> &[ResultRecord<'a>] {
        &self.records
    }
}
