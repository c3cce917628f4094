//! Finding each old device among the new ones.
//!
//! Rounds go from the strongest name to the weakest. A name joins two devices only where it is
//! unique among those still alone on both sides, and never against stronger evidence. The last round
//! joins what stands at the same place although it cannot be the same device: a replacement.

use std::collections::HashMap;
use std::hash::Hash;

use super::identity::Identity;

/// What became of the old and new devices, as positions in their lists.
#[derive(Debug, Default)]
pub(super) struct Matches {
    /// The same device.
    pub(super) same: Vec<(usize, usize)>,
    /// Another device at the same place.
    pub(super) replaced: Vec<(usize, usize)>,
    /// Only in the old list.
    pub(super) removed: Vec<usize>,
    /// Only in the new list.
    pub(super) added: Vec<usize>,
}

/// Joins the devices of two lists.
pub(super) fn join(old: &[Identity<'_>], new: &[Identity<'_>]) -> Matches {
    let mut sides = Sides {
        old,
        new,
        old_free: vec![true; old.len()],
        new_free: vec![true; new.len()],
    };
    let mut matches = Matches::default();
    let same = &mut matches.same;
    let agree = |a: &Identity<'_>, b: &Identity<'_>| !a.contradicts(b);

    same.extend(sides.round(|id| [id.serial.map(|serial| (serial, id.place))], agree));
    same.extend(sides.round(|id| [id.serial], agree));
    same.extend(sides.round(|id| [id.reported_mac.map(|mac| (mac, id.place))], agree));
    same.extend(sides.round(|id| [id.reported_mac], agree));
    same.extend(sides.round(|id| [id.expected_mac.map(|mac| (mac, id.place))], agree));
    same.extend(sides.round(
        |id| {
            [
                id.reported_mac,
                id.expected_mac.filter(|mac| id.reported_mac != Some(*mac)),
            ]
        },
        agree,
    ));
    same.extend(sides.round(|id| [Some(id.place)], agree));
    same.extend(sides.round(|id| [Some((id.place.0, id.place.1))], agree));
    // The same place more than once in a list: in the order of the lists.
    same.extend(sides.ordered_round(agree));
    let always = |_: &Identity<'_>, _: &Identity<'_>| true;
    matches
        .replaced
        .extend(sides.round(|id| [Some(id.place)], always));
    matches.replaced.extend(sides.ordered_round(always));

    let left = |free: &[bool]| -> Vec<usize> {
        free.iter()
            .enumerate()
            .filter(|(_, free)| **free)
            .map(|(index, _)| index)
            .collect()
    };
    matches.removed = left(&sides.old_free);
    matches.added = left(&sides.new_free);
    matches
}

struct Sides<'s, 'a> {
    old: &'s [Identity<'a>],
    new: &'s [Identity<'a>],
    old_free: Vec<bool>,
    new_free: Vec<bool>,
}

/// The one free device of a name, or several.
#[derive(Clone, Copy)]
enum Holder {
    One(usize),
    Several,
}

impl<'s, 'a> Sides<'s, 'a> {
    fn round<K: Hash + Eq, const N: usize>(
        &mut self,
        names: impl Fn(&'s Identity<'a>) -> [Option<K>; N],
        fits: impl Fn(&Identity<'a>, &Identity<'a>) -> bool,
    ) -> Vec<(usize, usize)> {
        let old_holders = holders(self.old, &self.old_free, &names);
        if old_holders.is_empty() {
            return Vec::new();
        }
        let new_holders = holders(self.new, &self.new_free, &names);
        let mut pairs = Vec::new();
        for (new_index, new) in self.new.iter().enumerate() {
            for name in names(new).into_iter().flatten() {
                let (Some(Holder::One(_)), Some(Holder::One(old_index))) =
                    (new_holders.get(&name), old_holders.get(&name))
                else {
                    continue;
                };
                let Some(old) = self.old.get(*old_index) else {
                    continue;
                };
                if fits(old, new) {
                    pairs.extend(self.take(*old_index, new_index));
                }
            }
        }
        pairs
    }

    fn ordered_round(
        &mut self,
        fits: impl Fn(&Identity<'a>, &Identity<'a>) -> bool,
    ) -> Vec<(usize, usize)> {
        let mut waiting: HashMap<(&str, &str, i64), Vec<usize>> = HashMap::new();
        for (index, old) in self.old.iter().enumerate().rev() {
            if self.old_free.get(index) == Some(&true) {
                waiting.entry(old.place).or_default().push(index);
            }
        }
        let mut pairs = Vec::new();
        for (new_index, new) in self.new.iter().enumerate() {
            let Some(queue) = waiting.get_mut(&new.place) else {
                continue;
            };
            let fitting = queue
                .iter()
                .rposition(|index| self.old.get(*index).is_some_and(|old| fits(old, new)));
            if self.new_free.get(new_index) == Some(&true)
                && let Some(at) = fitting
            {
                let old_index = queue.remove(at);
                pairs.extend(self.take(old_index, new_index));
            }
        }
        pairs
    }

    fn take(&mut self, old: usize, new: usize) -> Option<(usize, usize)> {
        let (old_free, new_free) = (self.old_free.get_mut(old)?, self.new_free.get_mut(new)?);
        if !(*old_free && *new_free) {
            return None;
        }
        *old_free = false;
        *new_free = false;
        Some((old, new))
    }
}

fn holders<'s, 'a, K: Hash + Eq, const N: usize>(
    list: &'s [Identity<'a>],
    free: &[bool],
    names: impl Fn(&'s Identity<'a>) -> [Option<K>; N],
) -> HashMap<K, Holder> {
    let mut holders = HashMap::new();
    for (index, (identity, free)) in list.iter().zip(free).enumerate() {
        if *free {
            for name in names(identity).into_iter().flatten() {
                holders
                    .entry(name)
                    .and_modify(|holder| *holder = Holder::Several)
                    .or_insert(Holder::One(index));
            }
        }
    }
    holders
}
