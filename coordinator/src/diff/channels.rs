//! Comparing the channels of one device.

use std::collections::HashMap;
use std::hash::Hash;

use super::change::{ChannelChange, ChannelDiff, FieldChange, Value};
use crate::results::{CameraRecord, ChannelKey};

/// What differs between two lists of channels.
#[derive(Debug, Default)]
pub(super) struct ChannelsCompared<'a> {
    /// Channels that differ: added, removed, changed, each by channel.
    pub(super) changes: Vec<ChannelDiff<'a>>,
    /// Columns that the old list did not have, with how many channels have them now.
    pub(super) newly_known: Vec<FieldChange<'a>>,
}

/// Compares two lists that are both known.
pub(super) fn compare<'a>(
    old: &'a [CameraRecord<'a>],
    new: &'a [CameraRecord<'a>],
) -> ChannelsCompared<'a> {
    let mut result = ChannelsCompared::default();
    if old == new {
        return result;
    }
    let joined = join(old, new);
    let columns = COLUMNS.map(|column| (column, column.known_in(old), column.known_in(new)));
    for (column, old_knows, new_knows) in &columns {
        if !old_knows && *new_knows && !joined.pairs.is_empty() {
            let count = new.iter().filter(|camera| column.is_known(camera)).count();
            result.newly_known.push(FieldChange {
                field: column.of_all,
                old: Value::Nothing,
                new: Value::Number(i64::try_from(count).unwrap_or(i64::MAX)),
            });
        }
    }
    let whole = |kind, camera: &'a CameraRecord<'a>| ChannelDiff {
        kind,
        channel: &camera.channel,
        name: &camera.name,
        address: &camera.address,
        moved_from: None,
        fields: Vec::new(),
    };
    for (was, is) in joined.pairs {
        let fields: Vec<FieldChange<'a>> = columns
            .iter()
            .filter(|(_, old_knows, new_knows)| *old_knows && *new_knows)
            .filter_map(|(column, ..)| {
                let (old, new) = ((column.value)(was), (column.value)(is));
                (old != new).then_some(FieldChange {
                    field: column.name,
                    old,
                    new,
                })
            })
            .collect();
        let moved_from = (label(&was.channel) != label(&is.channel)).then_some(&was.channel);
        if moved_from.is_some() || !fields.is_empty() {
            result.changes.push(ChannelDiff {
                moved_from,
                fields,
                ..whole(ChannelChange::Changed, is)
            });
        }
    }
    result.changes.extend(
        joined
            .added
            .into_iter()
            .map(|camera| whole(ChannelChange::Added, camera)),
    );
    result.changes.extend(
        joined
            .removed
            .into_iter()
            .map(|camera| whole(ChannelChange::Removed, camera)),
    );
    result.changes.sort_by(|a, b| {
        a.kind
            .cmp(&b.kind)
            .then_with(|| label(a.channel).cmp(&label(b.channel)))
    });
    result
}

/// A field of a channel. A column that is empty in a whole list was not reported by that backend,
/// so it says nothing about the cameras.
#[derive(Clone, Copy)]
struct Column {
    name: &'static str,
    of_all: &'static str,
    value: for<'c> fn(&'c CameraRecord<'_>) -> Value<'c>,
}

const COLUMNS: [Column; 6] = [
    Column {
        name: "name",
        of_all: "cameras.name",
        value: |camera| Value::Text(&camera.name),
    },
    Column {
        name: "address",
        of_all: "cameras.address",
        value: |camera| Value::Text(&camera.address),
    },
    Column {
        name: "port",
        of_all: "cameras.port",
        value: |camera| Value::Number(camera.port),
    },
    Column {
        name: "status",
        of_all: "cameras.status",
        value: |camera| Value::Text(&camera.status),
    },
    Column {
        name: "protocol",
        of_all: "cameras.protocol",
        value: |camera| Value::Text(&camera.protocol),
    },
    Column {
        name: "model",
        of_all: "cameras.model",
        value: |camera| Value::Text(&camera.model),
    },
];

impl Column {
    fn is_known(&self, camera: &CameraRecord<'_>) -> bool {
        match (self.value)(camera) {
            Value::Nothing | Value::Number(0) => false,
            Value::Number(_) => true,
            Value::Text("Unknown") if self.name == "status" => false,
            Value::Text(text) => !text.trim().is_empty(),
        }
    }

    fn known_in(&self, list: &[CameraRecord<'_>]) -> bool {
        list.iter().any(|camera| self.is_known(camera))
    }
}

/// A channel's label; numbers as text are numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Label<'a> {
    Number(i64),
    Text(&'a str),
}

fn label<'a>(key: &'a ChannelKey<'_>) -> Label<'a> {
    match key {
        ChannelKey::Number(number) => Label::Number(*number),
        ChannelKey::Text(text) => match text.trim().parse() {
            Ok(number) => Label::Number(number),
            Err(_) => Label::Text(text),
        },
    }
}

#[derive(Default)]
struct Joined<'a> {
    pairs: Vec<(&'a CameraRecord<'a>, &'a CameraRecord<'a>)>,
    removed: Vec<&'a CameraRecord<'a>>,
    added: Vec<&'a CameraRecord<'a>>,
}

/// Finds each old channel among the new ones: the same camera on the same channel, the same camera
/// on another channel, then whatever is on the same channel. Names that stand several times (a
/// recorder may call every channel 0) are taken in the order of the lists.
fn join<'a>(old: &'a [CameraRecord<'a>], new: &'a [CameraRecord<'a>]) -> Joined<'a> {
    let place = |camera: &'a CameraRecord<'a>| {
        camera
            .has_address()
            .then(|| (camera.address.trim(), camera.port))
    };
    let mut rest = Rest {
        old: old.iter().map(Some).collect(),
        new: new.iter().map(Some).collect(),
        pairs: Vec::new(),
    };
    rest.same_in_place();
    rest.round(
        |camera| Some((label(&camera.channel), place(camera)?)),
        |_, _| true,
    );
    // One of the two lists may lack addresses.
    rest.round(
        |camera| Some(label(&camera.channel)),
        |was, is| {
            (was.name == is.name || was.name.is_empty() || is.name.is_empty())
                && !(was.has_address() && is.has_address())
        },
    );
    rest.round(place, |_, _| true);
    rest.round(
        |camera| Some((label(&camera.channel), &camera.name)),
        |_, _| true,
    );
    rest.round(|camera| Some(label(&camera.channel)), |_, _| true);
    Joined {
        pairs: rest.pairs,
        removed: rest.old.into_iter().flatten().collect(),
        added: rest.new.into_iter().flatten().collect(),
    }
}

struct Rest<'a> {
    old: Vec<Option<&'a CameraRecord<'a>>>,
    new: Vec<Option<&'a CameraRecord<'a>>>,
    pairs: Vec<(&'a CameraRecord<'a>, &'a CameraRecord<'a>)>,
}

impl<'a> Rest<'a> {
    /// Joins channels with an address that stand unchanged at the same position of both lists: nearly
    /// all of them, nearly always, without looking for them by name.
    fn same_in_place(&mut self) {
        for (was, is) in self.old.iter_mut().zip(&mut self.new) {
            if let (Some(old), Some(new)) = (*was, *is)
                && old.has_address()
                && old == new
            {
                self.pairs.push((old, new));
                *was = None;
                *is = None;
            }
        }
    }

    fn round<K: Hash + Eq>(
        &mut self,
        name: impl Fn(&'a CameraRecord<'a>) -> Option<K>,
        fits: impl Fn(&CameraRecord<'a>, &CameraRecord<'a>) -> bool,
    ) {
        let mut waiting: HashMap<K, Vec<usize>> = HashMap::new();
        for (index, camera) in self.old.iter().enumerate().rev() {
            if let Some(key) = camera.and_then(&name) {
                waiting.entry(key).or_default().push(index);
            }
        }
        if waiting.is_empty() {
            return;
        }
        for is in &mut self.new {
            let Some(camera) = *is else { continue };
            let Some(queue) = name(camera).and_then(|key| waiting.get_mut(&key)) else {
                continue;
            };
            let Some(index) = queue.pop() else { continue };
            let Some(slot) = self.old.get_mut(index) else {
                continue;
            };
            match *slot {
                Some(was) if fits(was, camera) => {
                    self.pairs.push((was, camera));
                    *slot = None;
                    *is = None;
                }
                Some(_) | None => queue.push(index),
            }
        }
    }
}
