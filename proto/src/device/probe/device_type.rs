//! What kind of device it is.
//!
//! Wire source: pytvt 0.5.1, with MDVR before DVR and camera models before recorder ones.

use crate::model::discovery::{DeviceType, TypeSource};

/// Parts of a series, the first that fits decides. MDVR contains DVR and so comes first.
const SERIES: [(&str, DeviceType); 7] = [
    ("MDVR", DeviceType::Mdvr),
    ("DVR", DeviceType::Dvr),
    ("NVR", DeviceType::Nvr),
    ("IPC", DeviceType::Ipc),
    ("STORAGE", DeviceType::Storage),
    ("DECODER", DeviceType::Decoder),
    ("NETKEYBOARD", DeviceType::NetworkKeyboard),
];

/// The port that recorders greet on.
const RECORDER_PORT: u16 = 6036;
/// The port that cameras greet on, and some recorders as well.
const CAMERA_PORT: u16 = 9008;

/// What helps where neither series nor model say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints<'a> {
    /// The type code of the vendor's search.
    pub mhed_code: Option<u32>,
    /// The number of channels.
    pub channels: Option<u32>,
    /// The type word of the greeting.
    pub init_code: Option<u32>,
    /// The ports it greeted on.
    pub greeted: &'a [u16],
}

/// Concludes the type from the product series and model.
#[must_use]
pub fn from_texts(series: &str, model: &str) -> (DeviceType, TypeSource) {
    let series = series.to_uppercase();
    if let Some((_, found)) = SERIES.iter().find(|(part, _)| series.contains(part)) {
        return (*found, TypeSource::Series);
    }
    match from_model(&model.to_uppercase()) {
        Some(found) => (found, TypeSource::Model),
        None => (DeviceType::Unknown, TypeSource::Nothing),
    }
}

/// Concludes the type from everything there is, texts first.
#[must_use]
pub fn conclude(series: &str, model: &str, hints: &Hints<'_>) -> (DeviceType, TypeSource) {
    let (found, source) = from_texts(series, model);
    if found != DeviceType::Unknown {
        return (found, source);
    }
    if let Some(found) = hints.mhed_code.and_then(from_code) {
        return (found, TypeSource::Mhed);
    }
    if hints.channels.is_some_and(|channels| channels > 1) {
        return (DeviceType::Nvr, TypeSource::Mhed);
    }
    if let Some(found) = hints.init_code.and_then(from_code) {
        return (found, TypeSource::Init);
    }
    match hints.greeted {
        [RECORDER_PORT] => (DeviceType::Nvr, TypeSource::Port),
        [CAMERA_PORT] => (DeviceType::Ipc, TypeSource::Port),
        _ => (DeviceType::Unknown, TypeSource::Nothing),
    }
}

fn from_model(model: &str) -> Option<DeviceType> {
    let is_tvt = model.starts_with("TD-");
    if model.starts_with("TD-9") || model.starts_with("IP-") {
        Some(DeviceType::Ipc)
    } else if !is_tvt {
        None
    } else if model.contains("NVR") {
        Some(DeviceType::Nvr)
    } else if model.contains("DVR") {
        Some(DeviceType::Dvr)
    } else if model.starts_with("TD-3") {
        Some(DeviceType::Nvr)
    } else if model.starts_with("TD-2") {
        // UNCERTAIN: product naming; pytvt takes models with TS for network recorders.
        Some(DeviceType::Dvr)
    } else if model.contains("TS") {
        Some(DeviceType::Nvr)
    } else {
        None
    }
}

/// The vendor's list of type codes. UNCERTAIN: another tool numbers them otherwise.
const fn from_code(code: u32) -> Option<DeviceType> {
    match code {
        2 => Some(DeviceType::Ipc),
        3 => Some(DeviceType::Nvr),
        4 | 6 => Some(DeviceType::Dvr),
        5 => Some(DeviceType::Decoder),
        // 0 is DVR, but is also what a device sends that does not fill the field.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_used_in_their_order_and_only_where_texts_are_silent() {
        let hints = Hints {
            mhed_code: Some(3),
            channels: Some(16),
            init_code: Some(2),
            greeted: &[9008],
        };
        assert_eq!(
            conclude("", "TD-9544", &hints),
            (DeviceType::Ipc, TypeSource::Model)
        );
        assert_eq!(
            conclude("", "", &hints),
            (DeviceType::Nvr, TypeSource::Mhed)
        );
        let hints = Hints {
            mhed_code: None,
            channels: Some(1),
            ..hints
        };
        assert_eq!(
            conclude("", "", &hints),
            (DeviceType::Ipc, TypeSource::Init)
        );
        let hints = Hints {
            init_code: Some(0),
            ..hints
        };
        assert_eq!(
            conclude("", "", &hints),
            (DeviceType::Ipc, TypeSource::Port)
        );
        let hints = Hints {
            greeted: &[6036, 9008],
            ..hints
        };
        assert_eq!(
            conclude("", "", &hints),
            (DeviceType::Unknown, TypeSource::Nothing)
        );
    }

    #[test]
    fn models_of_other_makers_say_nothing() {
        assert_eq!(from_texts("", "DS-7608NVR").0, DeviceType::Unknown);
        assert_eq!(from_texts("", "TD-2104TS").0, DeviceType::Dvr);
    }
}
