//! Which batches of one agent's spool have been applied: a high-water mark, and what lies above it.
//!
//! Pure. Batches arrive in any order and more than once; each counts once. The high-water mark is
//! what the agent may delete, so it never passes a number that has not been applied.

use std::collections::BTreeMap;

use tvtfleet_proto::model::id::Sequence;

/// The most runs of numbers kept above the high-water mark.
///
/// An agent publishes in order, so more than a few mean that it is broken or hostile; what does not
/// fit is not applied, and asked for again once the gap below has closed.
pub(crate) const RUNS_MAX: usize = 1024;

/// What became of a sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It was not applied before.
    Fresh,
    /// It was.
    Duplicate,
    /// There are too many gaps below it; it does not count as applied.
    TooFar,
}

/// The applied sequence numbers of one epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// Every number from 1 to this one has been applied.
    through: u64,
    /// First and last number of each run above; runs neither touch each other nor the mark.
    runs: BTreeMap<u64, u64>,
}

impl Ledger {
    /// Restores what [`Self::committed`] and [`Self::encode_runs`] gave. Damaged runs are left out:
    /// what they named is asked for again and then falls out as a duplicate by its natural key.
    pub(crate) fn restore(through: u64, runs: &[u8]) -> Self {
        let mut ledger = Self {
            through,
            runs: BTreeMap::new(),
        };
        for pair in runs.chunks_exact(16) {
            let (first, last) = pair.split_at(8);
            if let (Ok(first), Ok(last)) = (first.try_into(), last.try_into()) {
                let (first, last) = (u64::from_le_bytes(first), u64::from_le_bytes(last));
                let above = ledger
                    .runs
                    .last_key_value()
                    .map_or(through, |(_, last)| *last);
                if first > above.saturating_add(1) && last >= first {
                    ledger.runs.insert(first, last);
                }
            }
        }
        ledger
    }

    /// The runs above the mark as bytes: pairs of little-endian 64-bit numbers, ascending.
    pub(crate) fn encode_runs(&self) -> Vec<u8> {
        self.runs
            .iter()
            .flat_map(|(first, last)| [first.to_le_bytes(), last.to_le_bytes()])
            .flatten()
            .collect()
    }

    /// Everything up to here has been applied.
    pub(crate) const fn committed(&self) -> Sequence {
        Sequence(self.through)
    }

    /// The first number missing below one that was applied.
    pub(crate) fn gap(&self) -> Option<Sequence> {
        (!self.runs.is_empty()).then(|| self.committed().next())
    }

    /// Whether a number has been applied.
    pub(crate) fn holds(&self, sequence: Sequence) -> bool {
        let number = sequence.0;
        number <= self.through
            || self
                .runs
                .range(..=number)
                .next_back()
                .is_some_and(|(_, last)| *last >= number)
    }

    /// Whether every number from `first` to `last` has been applied.
    pub(crate) fn covers(&self, first: Sequence, last: Sequence) -> bool {
        let from = first.0.max(self.through.saturating_add(1));
        last.0 <= self.through
            || first.0 > last.0
            || self
                .runs
                .range(..=from)
                .next_back()
                .is_some_and(|(_, end)| *end >= last.0)
    }

    /// Marks a number as applied.
    pub(crate) fn mark(&mut self, sequence: Sequence) -> Mark {
        let number = sequence.0;
        if number == 0 || self.holds(sequence) {
            return Mark::Duplicate;
        }
        let mut first = number;
        let mut last = number;
        if let Some((&before, &end)) = self.runs.range(..number).next_back()
            && end.saturating_add(1) == number
        {
            first = before;
        }
        if let Some(&end) = number
            .checked_add(1)
            .and_then(|after| self.runs.get(&after))
        {
            last = end;
        }
        let grows = first == number && last == number && number != self.through.saturating_add(1);
        if grows && self.runs.len() >= RUNS_MAX {
            return Mark::TooFar;
        }
        self.runs.remove(&number.saturating_add(1));
        self.runs.insert(first, last);
        self.settle();
        Mark::Fresh
    }

    /// Gives up every number below `oldest`: the agent does not hold them any more.
    ///
    /// Returns how many numbers were given up.
    pub(crate) fn skip_to(&mut self, oldest: Sequence) -> u64 {
        let target = oldest.0.saturating_sub(1);
        if target <= self.through {
            return 0;
        }
        let below = self
            .runs
            .range(..=target)
            .map(|(first, last)| (*last).min(target).saturating_sub(*first).saturating_add(1));
        let lost = target
            .saturating_sub(self.through)
            .saturating_sub(below.sum());
        self.through = target;
        let reach = self
            .runs
            .range(..=target)
            .next_back()
            .map(|(_, last)| *last);
        self.runs.retain(|first, _| *first > target);
        self.through = self.through.max(reach.unwrap_or(0));
        self.settle();
        lost
    }

    /// Moves the mark over the runs that now touch it.
    fn settle(&mut self) {
        while let Some((&first, &last)) = self.runs.first_key_value() {
            if first > self.through.saturating_add(1) {
                break;
            }
            self.through = self.through.max(last);
            self.runs.remove(&first);
        }
        debug_assert!(self.check_invariants());
    }

    fn check_invariants(&self) -> bool {
        let mut above = self.through;
        self.runs.iter().all(|(first, last)| {
            let apart = *first > above.saturating_add(1) && last >= first;
            above = *last;
            apart
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn marked(numbers: &[u64]) -> Ledger {
        let mut ledger = Ledger::default();
        for number in numbers {
            ledger.mark(Sequence(*number));
        }
        ledger
    }

    #[test]
    fn a_gap_holds_the_mark_back_until_it_closes() {
        let mut ledger = marked(&[1, 2, 4, 5]);
        assert_eq!(
            (ledger.committed(), ledger.gap()),
            (Sequence(2), Some(Sequence(3)))
        );
        assert!(!ledger.covers(Sequence(1), Sequence(5)));
        assert!(ledger.covers(Sequence(4), Sequence(5)));
        assert_eq!(ledger.mark(Sequence(3)), Mark::Fresh);
        assert_eq!((ledger.committed(), ledger.gap()), (Sequence(5), None));
    }

    #[test]
    fn the_ends_of_the_range_are_safe() {
        let mut ledger = marked(&[u64::MAX, u64::MAX - 1, 0]);
        assert_eq!(ledger.committed(), Sequence(0));
        assert_eq!(ledger.mark(Sequence(u64::MAX)), Mark::Duplicate);
        assert!(!ledger.covers(Sequence(1), Sequence(u64::MAX)));
        ledger.skip_to(Sequence(u64::MAX));
        assert_eq!(ledger.committed(), Sequence(u64::MAX));
        assert!(ledger.covers(Sequence(1), Sequence(u64::MAX)));
    }

    #[test]
    fn the_number_of_runs_is_bounded() {
        let mut ledger = Ledger::default();
        for step in 1..=u64::try_from(RUNS_MAX).unwrap() {
            assert_eq!(ledger.mark(Sequence(step * 2)), Mark::Fresh);
        }
        assert_eq!(ledger.mark(Sequence(1_000_000)), Mark::TooFar);
        assert!(!ledger.holds(Sequence(1_000_000)));
        // What closes a gap always fits.
        assert_eq!(ledger.mark(Sequence(1)), Mark::Fresh);
        assert_eq!(ledger.committed(), Sequence(2));
    }

    #[test]
    fn what_the_agent_has_lost_is_given_up() {
        let mut ledger = marked(&[1, 4, 5, 9]);
        assert_eq!(ledger.skip_to(Sequence(5)), 2);
        assert_eq!(
            (ledger.committed(), ledger.gap()),
            (Sequence(5), Some(Sequence(6)))
        );
        assert_eq!(ledger.skip_to(Sequence(2)), 0);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_set(numbers in proptest::collection::vec(1_u64..60, 0..120)) {
            let mut ledger = Ledger::default();
            let mut set = BTreeSet::new();
            for number in numbers {
                let fresh = set.insert(number);
                prop_assert_eq!(ledger.mark(Sequence(number)) == Mark::Fresh, fresh);
                let through = (1..).take_while(|n| set.contains(n)).count();
                prop_assert_eq!(ledger.committed(), Sequence(u64::try_from(through).unwrap()));
            }
            for first in 1..60 {
                prop_assert_eq!(ledger.holds(Sequence(first)), set.contains(&first));
                for last in first..60 {
                    let all = (first..=last).all(|n| set.contains(&n));
                    prop_assert_eq!(ledger.covers(Sequence(first), Sequence(last)), all);
                }
            }
            prop_assert_eq!(Ledger::restore(ledger.committed().0, &ledger.encode_runs()), ledger);
        }
    }
}
