//! Reading a result file as pytvt's diff does.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::value::{Key, PyValue};

/// One scan, as far as pytvt's comparison looks at it.
#[derive(Debug, Default)]
pub struct PytvtScan<'a> {
    pub(super) devices: Vec<Device<'a>>,
}

/// A file cannot be compared. `Display` is the reason as pytvt words it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// It is no JSON.
    #[error("Invalid JSON in {path}: {reason}")]
    Json {
        /// The file.
        path: String,
        /// Where and why; not Python's words.
        reason: String,
    },
    /// It is no array.
    #[error("Expected a JSON array in {path}, got {kind}")]
    NotAnArray {
        /// The file.
        path: String,
        /// What it is, by Python's name.
        kind: &'static str,
    },
    /// An element is no object.
    #[error("Entry {index} in {path} is not an object")]
    NotAnObject {
        /// The file.
        path: String,
        /// Its position, from 0.
        index: usize,
    },
    /// A value of an entry has a type that pytvt breaks off on.
    #[error("{reason}")]
    Value {
        /// Which, and why.
        reason: String,
    },
}

/// One device.
#[derive(Debug)]
pub(super) struct Device<'a> {
    pub(super) ip: PyValue<'a>,
    pub(super) site: PyValue<'a>,
    pub(super) hostname: PyValue<'a>,
    /// The compared fields, in the order of [`DEVICE_FIELDS`].
    pub(super) fields: [PyValue<'a>; 8],
    /// The cameras with an address.
    pub(super) cameras: Vec<Camera<'a>>,
}

/// One camera.
#[derive(Debug)]
pub(super) struct Camera<'a> {
    /// `None` where the file names none.
    pub(super) channel: Option<PyValue<'a>>,
    /// The compared fields, in the order of [`CAMERA_FIELDS`].
    pub(super) fields: [PyValue<'a>; 6],
}

pub(super) const DEVICE_FIELDS: [&str; 8] = [
    "success",
    "device_name",
    "device_model",
    "serial_number",
    "firmware",
    "total_channels",
    "backend",
    "error",
];
pub(super) const CAMERA_FIELDS: [&str; 6] =
    ["name", "address", "port", "status", "protocol", "model"];

impl<'a> PytvtScan<'a> {
    /// Reads the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// Where pytvt reports one, with its wording, and where pytvt breaks off.
    pub fn parse(text: &'a str, path: &str) -> Result<Self, LoadError> {
        let entries: Entries<'a> = serde_json::from_str(text).map_err(|error| LoadError::Json {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let entries = match entries {
            Entries::List(entries) => entries,
            Entries::Other(kind) => {
                return Err(LoadError::NotAnArray {
                    path: path.to_owned(),
                    kind,
                });
            }
        };
        let devices = entries
            .into_iter()
            .enumerate()
            .map(|(index, entry)| match entry {
                Entry::Device(device) => Ok(*device),
                Entry::Bad(reason) => Err(LoadError::Value { reason }),
                Entry::Other => Err(LoadError::NotAnObject {
                    path: path.to_owned(),
                    index,
                }),
            });
        Ok(Self {
            devices: devices.collect::<Result<_, _>>()?,
        })
    }
}

enum Entries<'a> {
    List(Vec<Entry<'a>>),
    Other(&'static str),
}

enum Entry<'a> {
    Device(Box<Device<'a>>),
    /// An object with a value that cannot be used.
    Bad(String),
    /// No object.
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;
        impl<'de> Visitor<'de> for ListVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = list.next_element()? {
                    entries.push(entry);
                }
                Ok(Entries::List(entries))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Entries::Other("dict"))
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Entries::Other("NoneType"))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Entries::Other("bool"))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Entries::Other("int"))
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Entries::Other("int"))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Entries::Other("float"))
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Entries::Other("str"))
            }
        }
        deserializer.deserialize_any(ListVisitor)
    }
}

/// Reads an object by its keys, and anything else as `other`.
macro_rules! object_visitor {
    ($visitor:ident -> $value:ty, $other:expr, $read:ident) => {
        struct $visitor;
        impl<'de> Visitor<'de> for $visitor {
            type Value = $value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                $read(map)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok($other)
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok($other)
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
                Ok($other)
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
                Ok($other)
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
                Ok($other)
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
                Ok($other)
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
                Ok($other)
            }
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Entry<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object_visitor!(EntryVisitor -> Entry<'de>, Entry::Other, read_device);
        deserializer.deserialize_any(EntryVisitor)
    }
}

fn read_device<'de, A: MapAccess<'de>>(mut map: A) -> Result<Entry<'de>, A::Error> {
    let mut device = Device {
        ip: PyValue::EMPTY,
        site: PyValue::EMPTY,
        hostname: PyValue::EMPTY,
        fields: [
            PyValue::Bool(false),
            PyValue::EMPTY,
            PyValue::EMPTY,
            PyValue::EMPTY,
            PyValue::EMPTY,
            PyValue::Int(0),
            PyValue::EMPTY,
            PyValue::Null,
        ],
        cameras: Vec::new(),
    };
    let mut port = PyValue::Int(0);
    let mut cameras = Cameras::Listed(Vec::new());
    while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
        match key.as_ref() {
            "nvr_ip" => device.ip = map.next_value()?,
            "site" => device.site = map.next_value()?,
            "hostname" => device.hostname = map.next_value()?,
            "nvr_port" => port = map.next_value()?,
            "cameras" => cameras = map.next_value()?,
            name => match DEVICE_FIELDS
                .iter()
                .zip(&mut device.fields)
                .find(|(field, _)| **field == name)
            {
                Some((_, field)) => *field = map.next_value()?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            },
        }
    }
    if let Err(reason) = whole(&port) {
        return Ok(Entry::Bad(reason));
    }
    if matches!(device.ip, PyValue::List(_) | PyValue::Dict(_)) {
        return Ok(Entry::Bad("nvr_ip is no text".to_owned()));
    }
    let [success, .., total, _, _] = &mut device.fields;
    *success = PyValue::Bool(success.is_truthy());
    match whole(total) {
        Ok(number) => *total = PyValue::Int(number),
        Err(reason) => return Ok(Entry::Bad(reason)),
    }
    match cameras {
        Cameras::Listed(cameras) => device.cameras = cameras,
        Cameras::Bad(reason) => return Ok(Entry::Bad(reason)),
    }
    Ok(Entry::Device(Box::new(device)))
}

enum Cameras<'a> {
    Listed(Vec<Camera<'a>>),
    Bad(String),
}

impl<'de: 'a, 'a> Deserialize<'de> for Cameras<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CamerasVisitor;
        impl<'de> Visitor<'de> for CamerasVisitor {
            type Value = Cameras<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of cameras")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut cameras = Vec::new();
                let mut bad = None;
                while let Some(element) = list.next_element::<CameraOrOther<'de>>()? {
                    match element.0 {
                        Some(camera) if has_address(&camera) => {
                            if matches!(camera.channel, Some(PyValue::List(_) | PyValue::Dict(_))) {
                                bad = Some("a camera's channel is a list or an object".to_owned());
                            }
                            cameras.push(camera);
                        }
                        Some(_) | None => {}
                    }
                }
                Ok(bad.map_or(Cameras::Listed(cameras), Cameras::Bad))
            }

            // Python walks through the keys of a dictionary and the characters of text; none of
            // them is an object.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Cameras::Listed(Vec::new()))
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Cameras::Listed(Vec::new()))
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(not_iterable("NoneType"))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
                Ok(not_iterable("bool"))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
                Ok(not_iterable("int"))
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
                Ok(not_iterable("int"))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
                Ok(not_iterable("float"))
            }
        }
        deserializer.deserialize_any(CamerasVisitor)
    }
}

fn not_iterable<'a>(kind: &str) -> Cameras<'a> {
    Cameras::Bad(format!("'{kind}' object is not iterable"))
}

struct CameraOrOther<'a>(Option<Camera<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for CameraOrOther<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object_visitor!(CameraVisitor -> Option<Camera<'de>>, None, read_camera);
        deserializer.deserialize_any(CameraVisitor).map(Self)
    }
}

fn read_camera<'de, A: MapAccess<'de>>(mut map: A) -> Result<Option<Camera<'de>>, A::Error> {
    let mut camera = Camera {
        channel: None,
        fields: [
            PyValue::EMPTY,
            PyValue::EMPTY,
            PyValue::EMPTY,
            PyValue::EMPTY,
            PyValue::EMPTY,
            PyValue::EMPTY,
        ],
    };
    while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
        if key == "channel" {
            let channel: PyValue<'de> = map.next_value()?;
            camera.channel = (channel != PyValue::EMPTY).then_some(channel);
            continue;
        }
        match CAMERA_FIELDS
            .iter()
            .zip(&mut camera.fields)
            .find(|(field, _)| **field == key)
        {
            Some((_, field)) => *field = map.next_value()?,
            None => {
                map.next_value::<IgnoredAny>()?;
            }
        }
    }
    Ok(Some(camera))
}

/// `str(address).strip()` is not empty. Python strips four separators that Unicode calls no space.
fn has_address(camera: &Camera<'_>) -> bool {
    let [_, address, ..] = &camera.fields;
    let blank =
        |character: char| character.is_whitespace() || ('\u{1C}'..='\u{1F}').contains(&character);
    !address.str().trim_matches(blank).is_empty()
}

/// `int(value)`.
fn whole(value: &PyValue<'_>) -> Result<i128, String> {
    match value {
        PyValue::Bool(truth) => Ok(i128::from(*truth)),
        PyValue::Int(number) => Ok(*number),
        PyValue::Float(number) => format!("{:.0}", number.trunc())
            .parse()
            .map_err(|_| format!("{number} is too large")),
        PyValue::Str(text) => {
            let digits = text.trim().replace('_', "");
            let broken = text.trim().split('_').any(str::is_empty);
            digits
                .parse()
                .ok()
                .filter(|_| !broken)
                .ok_or_else(|| format!("invalid literal for int() with base 10: {}", value.repr()))
        }
        PyValue::Null => Err(not_a_number("NoneType")),
        PyValue::List(_) => Err(not_a_number("list")),
        PyValue::Dict(_) => Err(not_a_number("dict")),
    }
}

fn not_a_number(kind: &str) -> String {
    format!("int() argument must be a string, a bytes-like object or a real number, not '{kind}'")
}
