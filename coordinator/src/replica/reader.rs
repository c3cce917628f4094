//! What an entry of the log means for a database that stands somewhere. Pure.

use tvtfleet_proto::model::replica::{LogEntry, LogKind, LogMark};

use crate::store::lead::Step;

/// What an entry means.
#[derive(Debug)]
pub(super) enum Meaning {
    /// A transaction to do as well.
    Step(Step),
    /// The leader is alive, and the database stands where it should.
    Alive,
    /// The leader has stopped, and the database stands where it should.
    Resigned,
    /// More is needed, or it is old.
    Nothing,
    /// The database cannot get there: it must be begun anew from a snapshot.
    Astray,
}

/// Reads the log on behalf of a database.
#[derive(Debug)]
pub(super) struct Reader {
    mark: LogMark,
    schema: u32,
    /// The parts of a transaction so far, and which comes next.
    parts: Vec<u8>,
    next: u32,
}

impl Reader {
    /// Reads on behalf of a database that stands at `mark`.
    pub(super) fn new(mark: LogMark, schema: u32) -> Self {
        Self {
            mark,
            schema,
            parts: Vec::new(),
            next: 0,
        }
    }

    /// Takes the next entry of the log. What is said to be a step counts as done.
    pub(super) fn read(&mut self, position: u64, entry: LogEntry) -> Meaning {
        if matches!(entry.kind, LogKind::Beat | LogKind::Resign) {
            return if entry.after == self.mark && self.mark.number > 0 {
                match entry.kind {
                    LogKind::Resign => Meaning::Resigned,
                    LogKind::Beat | LogKind::Lead | LogKind::Changes => Meaning::Alive,
                }
            } else if entry.after > self.mark || self.mark.number == 0 {
                Meaning::Astray
            } else {
                Meaning::Nothing
            };
        }
        // A leader that lost the lead in the middle leaves parts behind.
        if entry.part == 0 {
            self.parts.clear();
            self.next = 0;
        }
        let began_here = entry.part == self.next;
        if entry.after <= self.mark {
            return Meaning::Nothing;
        }
        // A database that never followed is nobody's copy, whatever its number.
        let fits = entry.before == self.mark && self.mark.number > 0;
        if !fits || !began_here || entry.schema != self.schema {
            return Meaning::Astray;
        }
        self.parts.extend_from_slice(&entry.changes);
        self.next = self.next.saturating_add(1);
        if self.next < entry.parts {
            return Meaning::Nothing;
        }
        self.mark = entry.after;
        self.next = 0;
        Meaning::Step(Step {
            position,
            leader: entry.leader,
            before: entry.before,
            after: entry.after,
            changes: std::mem::take(&mut self.parts),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn mark(term: u64, number: u64) -> LogMark {
        LogMark { term, number }
    }

    fn entry(kind: LogKind, before: LogMark, after: LogMark, part: u32, parts: u32) -> LogEntry {
        LogEntry {
            kind,
            leader: "a".into(),
            before,
            after,
            schema: 8,
            part,
            parts,
            changes: vec![u8::try_from(part).unwrap()],
        }
    }

    fn letter(meaning: &Meaning) -> char {
        match meaning {
            Meaning::Step(_) => 's',
            Meaning::Alive => 'a',
            Meaning::Resigned => 'r',
            Meaning::Nothing => '-',
            Meaning::Astray => 'x',
        }
    }

    #[test]
    fn only_what_fits_is_done() {
        use LogKind::{Beat, Changes, Lead, Resign};
        let here = mark(2, 7);
        let at = |kind, before, after| entry(kind, before, after, 0, 1);
        let cases = [
            (at(Changes, here, mark(2, 8)), 's'),
            (at(Lead, here, mark(3, 8)), 's'),
            (at(Beat, here, here), 'a'),
            (at(Resign, here, here), 'r'),
            (at(Resign, mark(2, 6), mark(2, 6)), '-'),
            (at(Resign, mark(2, 9), mark(2, 9)), 'x'),
            (at(Beat, mark(2, 6), mark(2, 6)), '-'),
            (at(Beat, mark(2, 9), mark(2, 9)), 'x'),
            (at(Changes, mark(2, 6), here), '-'),
            (at(Changes, mark(2, 8), mark(2, 9)), 'x'),
            // Somebody led on from an earlier point: what this database has since is nobody's.
            (at(Lead, mark(2, 5), mark(3, 6)), 'x'),
            (at(Changes, mark(1, 7), mark(2, 8)), 'x'),
        ];
        for (entry, expected) in cases {
            let meaning = Reader::new(here, 8).read(1, entry.clone());
            assert_eq!(letter(&meaning), expected, "{entry:?}");
        }
        let other = at(Changes, here, mark(2, 8));
        assert_eq!(letter(&Reader::new(here, 9).read(1, other)), 'x');
        let first = at(Lead, mark(0, 0), mark(1, 1));
        let fresh = Reader::new(mark(0, 0), 8).read(1, first);
        assert_eq!(letter(&fresh), 'x', "a new replica has no data");
    }

    #[test]
    fn a_transaction_of_several_parts_is_done_as_a_whole_or_not_at_all() {
        let here = mark(1, 1);
        let mut reader = Reader::new(here, 8);
        let part = |part| entry(LogKind::Changes, here, mark(1, 2), part, 3);
        assert_eq!(letter(&reader.read(5, part(0))), '-');
        assert_eq!(letter(&reader.read(6, part(1))), '-');
        // The leader was lost here, and another one goes on from the same place.
        let lead = entry(LogKind::Lead, here, mark(2, 2), 0, 1);
        let Meaning::Step(step) = reader.read(7, lead) else {
            panic!("the lead fits");
        };
        assert_eq!((step.position, step.changes.as_slice()), (7, &[0][..]));
        let whole = |part| entry(LogKind::Changes, mark(2, 2), mark(2, 3), part, 2);
        assert_eq!(letter(&reader.read(8, whole(0))), '-');
        let Meaning::Step(step) = reader.read(9, whole(1)) else {
            panic!("the transaction is whole");
        };
        assert_eq!(step.changes, [0, 1]);
        let torn = entry(LogKind::Changes, mark(2, 3), mark(2, 4), 1, 2);
        assert_eq!(letter(&reader.read(10, torn)), 'x');
    }
}
