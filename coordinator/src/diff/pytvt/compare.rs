//! pytvt's comparison.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::Hash;

use super::load::{CAMERA_FIELDS, Camera, DEVICE_FIELDS, Device, PytvtScan};
use super::value::{PyValue, Worth};

/// What pytvt finds between two scans.
#[derive(Debug)]
pub struct PytvtDiff<'a> {
    pub(super) old_count: usize,
    pub(super) new_count: usize,
    pub(super) added: Vec<DeviceOut<'a>>,
    pub(super) removed: Vec<DeviceOut<'a>>,
    pub(super) changed: Vec<DeviceOut<'a>>,
    pub(super) unchanged: usize,
}

#[derive(Debug)]
pub(super) struct DeviceOut<'a> {
    pub(super) ip: &'a PyValue<'a>,
    pub(super) site: &'a PyValue<'a>,
    pub(super) hostname: &'a PyValue<'a>,
    pub(super) status: &'static str,
    pub(super) fields: Vec<Change<'a>>,
    pub(super) cameras_added: Vec<CameraOut<'a>>,
    pub(super) cameras_removed: Vec<CameraOut<'a>>,
    pub(super) cameras_changed: Vec<CameraOut<'a>>,
    pub(super) old_cameras: usize,
    pub(super) new_cameras: usize,
}

#[derive(Debug)]
pub(super) struct CameraOut<'a> {
    pub(super) channel: Channel<'a>,
    pub(super) name: &'a PyValue<'a>,
    pub(super) status: &'static str,
    pub(super) changes: Vec<Change<'a>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'a> {
    pub(super) field: &'static str,
    pub(super) old: &'a PyValue<'a>,
    pub(super) new: &'a PyValue<'a>,
}

/// A camera's channel; one without is told apart by the scan and its position.
#[derive(Clone, Copy, Debug)]
pub(super) enum Channel<'a> {
    Named(&'a PyValue<'a>),
    Unnamed(usize),
}

impl PytvtDiff<'_> {
    /// Whether pytvt finds any difference.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Compares two scans as pytvt does.
#[must_use]
pub fn compare<'a>(old: &'a PytvtScan<'a>, new: &'a PytvtScan<'a>) -> PytvtDiff<'a> {
    let mut result = PytvtDiff {
        old_count: old.devices.len(),
        new_count: new.devices.len(),
        added: Vec::new(),
        removed: Vec::new(),
        changed: Vec::new(),
        unchanged: 0,
    };
    let old_by_ip = last_of_each(old.devices.iter(), |device| Name::of(&device.ip));
    let new_by_ip = last_of_each(new.devices.iter(), |device| Name::of(&device.ip));
    for (name, is) in &new_by_ip.entries {
        match old_by_ip.get(name) {
            None => result.added.push(whole(is, "added")),
            Some(was) => match device(was, is) {
                Some(changed) => result.changed.push(changed),
                None => result.unchanged += 1,
            },
        }
    }
    let gone = old_by_ip
        .entries
        .iter()
        .filter(|(name, _)| new_by_ip.get(name).is_none());
    result
        .removed
        .extend(gone.map(|(_, was)| whole(was, "removed")));
    for list in [&mut result.added, &mut result.removed, &mut result.changed] {
        list.sort_by(|a, b| by_ip(a.ip, b.ip));
    }
    result
}

/// A value as the key of a Python dictionary.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name<'a> {
    Null,
    Number(Worth),
    Text(&'a str),
    /// Lists and objects, which Python refuses and loading has sorted out.
    Shown(Cow<'a, str>),
    Unnamed(usize, bool),
}

impl<'a> Name<'a> {
    fn of(value: &'a PyValue<'a>) -> Self {
        match (value, value.number()) {
            (_, Some(worth)) => Self::Number(worth),
            (PyValue::Str(text), None) => Self::Text(text),
            (PyValue::Null, None) => Self::Null,
            (_, None) => Self::Shown(value.str()),
        }
    }
}

/// A Python dictionary: the place and key of the first, the value of the last.
struct Dictionary<K, V> {
    entries: Vec<(K, V)>,
    places: HashMap<K, usize>,
}

impl<K: Hash + Eq, V> Dictionary<K, V> {
    fn get(&self, key: &K) -> Option<&V> {
        self.places
            .get(key)
            .and_then(|place| self.entries.get(*place))
            .map(|(_, value)| value)
    }
}

fn last_of_each<K: Hash + Eq + Clone, V>(
    values: impl Iterator<Item = V>,
    key: impl Fn(&V) -> K,
) -> Dictionary<K, V> {
    let mut dictionary = Dictionary {
        entries: Vec::new(),
        places: HashMap::new(),
    };
    for value in values {
        let key = key(&value);
        match dictionary
            .places
            .get(&key)
            .and_then(|place| dictionary.entries.get_mut(*place))
        {
            Some((_, earlier)) => *earlier = value,
            None => {
                dictionary
                    .places
                    .insert(key.clone(), dictionary.entries.len());
                dictionary.entries.push((key, value));
            }
        }
    }
    dictionary
}

fn by_ip(a: &PyValue<'_>, b: &PyValue<'_>) -> Ordering {
    match (a, b) {
        (PyValue::Str(a), PyValue::Str(b)) => a.cmp(b),
        (PyValue::Int(a), PyValue::Int(b)) => a.cmp(b),
        (_, _) => a.str().cmp(&b.str()),
    }
}

fn whole<'a>(device: &'a Device<'a>, status: &'static str) -> DeviceOut<'a> {
    let cameras = device.cameras.len();
    DeviceOut {
        ip: &device.ip,
        site: &device.site,
        hostname: &device.hostname,
        status,
        fields: Vec::new(),
        cameras_added: Vec::new(),
        cameras_removed: Vec::new(),
        cameras_changed: Vec::new(),
        old_cameras: if status == "removed" { cameras } else { 0 },
        new_cameras: if status == "added" { cameras } else { 0 },
    }
}

fn device<'a>(was: &'a Device<'a>, is: &'a Device<'a>) -> Option<DeviceOut<'a>> {
    let fields: Vec<Change<'a>> = DEVICE_FIELDS
        .iter()
        .zip(was.fields.iter().zip(&is.fields))
        .filter(|(_, (old, new))| !old.equals(new))
        .map(|(field, (old, new))| Change { field, old, new })
        .collect();
    let either =
        |new: &'a PyValue<'a>, old: &'a PyValue<'a>| if new.is_truthy() { new } else { old };
    let mut changed = DeviceOut {
        site: either(&is.site, &was.site),
        hostname: either(&is.hostname, &was.hostname),
        fields,
        old_cameras: was.cameras.len(),
        new_cameras: is.cameras.len(),
        ..whole(is, "changed")
    };
    cameras(&was.cameras, &is.cameras, &mut changed);
    let same = changed.fields.is_empty()
        && changed.cameras_added.is_empty()
        && changed.cameras_removed.is_empty()
        && changed.cameras_changed.is_empty();
    (!same).then_some(changed)
}

fn cameras<'a>(old: &'a [Camera<'a>], new: &'a [Camera<'a>], device: &mut DeviceOut<'a>) {
    let old = by_channel(old, false);
    let new = by_channel(new, true);
    let more_new = new.entries.len() > old.entries.len();
    for (name, (channel, is)) in &new.entries {
        let [new_name, ..] = &is.fields;
        match old.get(name) {
            None => device.cameras_added.push(CameraOut {
                channel: *channel,
                name: new_name,
                status: "added",
                changes: Vec::new(),
            }),
            Some((old_channel, was)) => {
                let changes: Vec<Change<'a>> = CAMERA_FIELDS
                    .iter()
                    .zip(was.fields.iter().zip(&is.fields))
                    .filter(|(_, (old, new))| old.str() != new.str())
                    .map(|(field, (old, new))| Change { field, old, new })
                    .collect();
                let [old_name, ..] = &was.fields;
                if !changes.is_empty() {
                    device.cameras_changed.push(CameraOut {
                        // Of two equal keys, 1 and 1.0, Python keeps the smaller side's.
                        channel: if more_new { *old_channel } else { *channel },
                        name: if new_name.is_truthy() {
                            new_name
                        } else {
                            old_name
                        },
                        status: "changed",
                        changes,
                    });
                }
            }
        }
    }
    let gone = old
        .entries
        .iter()
        .filter(|(name, _)| new.get(name).is_none());
    device
        .cameras_removed
        .extend(gone.map(|(_, (channel, was))| {
            let [name, ..] = &was.fields;
            CameraOut {
                channel: *channel,
                name,
                status: "removed",
                changes: Vec::new(),
            }
        }));
    for list in [
        &mut device.cameras_added,
        &mut device.cameras_removed,
        &mut device.cameras_changed,
    ] {
        list.sort_by_cached_key(|camera| sort_key(camera.channel));
    }
}

type ByChannel<'a> = Dictionary<Name<'a>, (Channel<'a>, &'a Camera<'a>)>;

fn by_channel<'a>(cameras: &'a [Camera<'a>], newer: bool) -> ByChannel<'a> {
    let mut dictionary: ByChannel<'a> = Dictionary {
        entries: Vec::new(),
        places: HashMap::new(),
    };
    for (index, camera) in cameras.iter().enumerate() {
        let (name, channel) = match &camera.channel {
            Some(channel) => (Name::of(channel), Channel::Named(channel)),
            None => (Name::Unnamed(index, newer), Channel::Unnamed(index)),
        };
        match dictionary
            .places
            .get(&name)
            .and_then(|place| dictionary.entries.get_mut(*place))
        {
            Some((_, (_, earlier))) => *earlier = camera,
            None => {
                dictionary
                    .places
                    .insert(name.clone(), dictionary.entries.len());
                dictionary.entries.push((name, (channel, camera)));
            }
        }
    }
    dictionary
}

/// Whole numbers and truth values first, by their text filled with zeros to ten characters, then all
/// others by text.
fn sort_key(channel: Channel<'_>) -> (bool, String) {
    match channel {
        Channel::Unnamed(index) => (false, format!("{index:010}")),
        Channel::Named(value @ (PyValue::Int(_) | PyValue::Bool(_))) => {
            let text = value.str();
            let (sign, digits) = text
                .strip_prefix('-')
                .map_or(("", text.as_ref()), |rest| ("-", rest));
            let zeros = 10_usize.saturating_sub(text.chars().count());
            (false, format!("{sign}{}{digits}", "0".repeat(zeros)))
        }
        Channel::Named(value) => (true, value.str().into_owned()),
    }
}
