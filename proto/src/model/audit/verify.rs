//! Checking a chain row by row. Pure.

use super::{AUDIT_PRUNED, AUDIT_REWOUND, AuditMark, AuditRow, ChainHash};

/// What is wrong with a chain, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// A row does not say what it said when it was recorded.
    #[error("row {0} was altered")]
    Altered(u64),
    /// Rows are not there.
    #[error("rows {from} to {to} are missing")]
    Missing {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// A row stands behind a later one.
    #[error("row {0} is not where it was recorded")]
    Moved(u64),
    /// A row does not follow the row before it.
    #[error("row {0} does not follow the row before it")]
    Unlinked(u64),
    /// Rows at the beginning are not there, and no later row says that they were taken out.
    #[error("the rows before row {0} are missing, and nothing says why")]
    Beheaded(u64),
    /// Rows at the end are not there.
    #[error("the rows after row {last} are missing: row {known} was the last one known")]
    Cut {
        /// The last row that is there; 0 is none.
        last: u64,
        /// The number of a row that is known to have been there.
        known: u64,
    },
    /// A row is not the one that was there.
    #[error("row {0} is not the one that was noted elsewhere")]
    Replaced(u64),
}

/// What checking a whole chain came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many rows are as they were recorded.
    pub rows: u64,
    /// The number of the first row; 0 where there is none.
    pub first: u64,
    /// Where the chain ends.
    pub head: AuditMark,
    /// The numbers of the rows that say that the chain once ended too early.
    pub rewound: Vec<u64>,
}

/// Checks rows as they come.
#[derive(Clone, Debug, Default)]
pub struct AuditVerifier {
    /// What is known of the chain from elsewhere.
    marks: Vec<AuditMark>,
    first: Option<(u64, ChainHash)>,
    last: AuditMark,
    rows: u64,
    /// Whether a row says that what is before the first row was taken out.
    is_attested: bool,
    rewound: Vec<u64>,
}

impl AuditVerifier {
    /// A verifier that also holds the chain against what is known of it from elsewhere.
    #[must_use]
    pub fn new(marks: Vec<AuditMark>) -> Self {
        Self {
            marks,
            ..Self::default()
        }
    }

    /// Checks the next row.
    ///
    /// # Errors
    ///
    /// What is wrong with it. The verifier is of no more use then.
    pub fn row(&mut self, row: &AuditRow) -> Result<(), AuditFault> {
        let number = row.number;
        if self.first.is_some() {
            let expected = self.last.number.saturating_add(1);
            if number < expected {
                return Err(AuditFault::Moved(number));
            }
            if number > expected {
                return Err(AuditFault::Missing {
                    from: expected,
                    to: number.saturating_sub(1),
                });
            }
            if row.prior != self.last.hash {
                return Err(AuditFault::Unlinked(number));
            }
        } else if number <= 1 && row.prior != ChainHash::default() {
            return Err(AuditFault::Unlinked(number));
        }
        if row.computed_hash() != row.hash {
            return Err(AuditFault::Altered(number));
        }
        let (first, before) = *self.first.get_or_insert((number, row.prior));
        let is_other = |mark: &AuditMark| {
            (mark.number == number && mark.hash != row.hash)
                || (mark.number > 0
                    && mark.number.saturating_add(1) == first
                    && mark.hash != before)
        };
        if let Some(mark) = self.marks.iter().find(|mark| is_other(mark)) {
            return Err(AuditFault::Replaced(mark.number));
        }
        let pruned = (row.entry.kind == AUDIT_PRUNED).then(|| row.entry.detail.parse());
        if let Some(Ok(AuditMark { number, hash })) = pruned {
            self.is_attested |= number.saturating_add(1) == first && hash == before;
        }
        if row.entry.kind == AUDIT_REWOUND {
            self.rewound.push(number);
        }
        self.last = row.mark();
        self.rows = self.rows.saturating_add(1);
        Ok(())
    }

    /// Ends the check. Where the chain `is_whole`, it has to begin with the first row, or a row must
    /// say that earlier ones were taken out.
    ///
    /// # Errors
    ///
    /// Rows are missing at either end.
    pub fn end(self, is_whole: bool) -> Result<Verified, AuditFault> {
        let first = self.first.map_or(0, |(number, _)| number);
        if is_whole && first > 1 && !self.is_attested {
            return Err(AuditFault::Beheaded(first));
        }
        let last = self.last.number;
        if let Some(mark) = self.marks.iter().find(|mark| mark.number > last) {
            return Err(AuditFault::Cut {
                last,
                known: mark.number,
            });
        }
        Ok(Verified {
            rows: self.rows,
            first,
            head: self.last,
            rewound: self.rewound,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::AuditEntry;
    use super::*;
    use crate::model::time::UtcMillis;

    fn entry(number: i64) -> AuditEntry {
        AuditEntry {
            at: UtcMillis::new(number),
            who: "anna".into(),
            kind: "job.submit".into(),
            ..AuditEntry::default()
        }
        .for_sites(["acme/depot".parse().unwrap()])
    }

    fn chain(count: i64) -> Vec<AuditRow> {
        let mut last = AuditMark::default();
        (0..count)
            .map(|number| {
                let row = AuditRow::following(last, entry(number));
                last = row.mark();
                row
            })
            .collect()
    }

    fn check(rows: &[AuditRow], marks: Vec<AuditMark>) -> Result<Verified, AuditFault> {
        let mut verifier = AuditVerifier::new(marks);
        rows.iter().try_for_each(|row| verifier.row(row))?;
        verifier.end(true)
    }

    #[test]
    fn a_chain_as_it_was_recorded_is_good() {
        let rows = chain(5);
        let head = rows[4].mark();
        let verified = check(&rows, vec![head, rows[2].mark()]).unwrap();
        assert_eq!((verified.rows, verified.first), (5, 1));
        assert_eq!(verified.head, head);
        assert_eq!(check(&[], Vec::new()).unwrap().rows, 0);
        assert_eq!(head.to_string().parse(), Ok(head));
    }

    #[test]
    fn every_field_of_a_row_is_covered() {
        let changes: [fn(&mut AuditEntry); 12] = [
            |entry| entry.at = UtcMillis::new(77),
            |entry| entry.who.push('x'),
            |entry| entry.key.push('x'),
            |entry| entry.kind.push('x'),
            |entry| entry.decision.push('x'),
            |entry| entry.code.push('x'),
            |entry| entry.job = Some(crate::model::id::JobId::new(uuid::Uuid::from_u128(1))),
            |entry| entry.sites.clear(),
            |entry| entry.sites_total += 1,
            |entry| entry.devices += 1,
            |entry| entry.detail.push('x'),
            |entry| entry.outcome.push('x'),
        ];
        for change in changes {
            let mut rows = chain(4);
            change(&mut rows[2].entry);
            assert_eq!(check(&rows, Vec::new()), Err(AuditFault::Altered(3)));
        }
    }

    #[test]
    fn what_was_taken_out_moved_or_made_anew_is_named() {
        let rows = chain(6);
        let head = vec![rows[5].mark()];
        let without = |range: std::ops::Range<usize>| {
            let mut rows = rows.clone();
            rows.drain(range);
            rows
        };
        let missing = Err(AuditFault::Missing { from: 3, to: 4 });
        assert_eq!(check(&without(2..4), head.clone()), missing);
        assert_eq!(
            check(&without(0..2), head.clone()),
            Err(AuditFault::Beheaded(3))
        );
        let cut = |last| Err(AuditFault::Cut { last, known: 6 });
        assert_eq!(check(&without(4..6), head.clone()), cut(4));
        assert_eq!(check(&[], head.clone()), cut(0));
        assert!(
            check(&without(4..6), Vec::new()).is_ok(),
            "a chain alone does not tell"
        );
        let mut swapped = rows.clone();
        swapped.swap(2, 3);
        assert_eq!(
            check(&swapped, head.clone()),
            Err(AuditFault::Missing { from: 3, to: 3 })
        );
        let mut doubled = rows.clone();
        doubled.insert(3, rows[1].clone());
        assert_eq!(check(&doubled, head.clone()), Err(AuditFault::Moved(2)));
        // Whoever can write rows can make a chain that is good by itself.
        let mut forged = rows[..3].to_vec();
        for number in 10..13 {
            let last = forged.last().unwrap().mark();
            forged.push(AuditRow::following(last, entry(number)));
        }
        assert_eq!(check(&forged, head), Err(AuditFault::Replaced(6)));
        let mut relinked = rows.clone();
        relinked[3].prior = ChainHash::default();
        relinked[3].hash = relinked[3].computed_hash();
        assert_eq!(check(&relinked, Vec::new()), Err(AuditFault::Unlinked(4)));
    }

    #[test]
    fn what_age_took_out_is_said_by_a_later_row() {
        let mut rows = chain(6);
        let mut pruned = entry(9);
        pruned.kind = AUDIT_PRUNED.into();
        pruned.detail = rows[1].mark().to_string();
        rows.push(AuditRow::following(rows[5].mark(), pruned));
        let old = rows[1].mark();
        rows.drain(..2);
        assert_eq!(check(&rows, vec![old]).unwrap().first, 3);
        let wrong = AuditMark {
            number: 2,
            ..AuditMark::default()
        };
        assert_eq!(check(&rows, vec![wrong]), Err(AuditFault::Replaced(2)));
        rows.remove(0);
        assert_eq!(check(&rows, Vec::new()), Err(AuditFault::Beheaded(4)));
    }
}
