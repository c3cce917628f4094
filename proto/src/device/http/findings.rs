//! What an errand to a web interface brought home.

use crate::error::ErrorCode;
use crate::model::answer::{Answer, DeviceInfo};
use crate::model::channel::Channel;
use crate::model::report::DeviceFacts;

/// Everything that was found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What the device says of itself, as far as it was asked.
    pub facts: DeviceFacts,
    /// Its channels, where they were asked for.
    pub channels: Vec<Channel>,
    /// The answer to the ask, where it is neither facts nor channels.
    pub answer: Option<Answer>,
    /// What is missing.
    pub warnings: Vec<ErrorCode>,
}

impl Findings {
    /// Adds what a device says of itself to the facts.
    pub fn learn(&mut self, info: &DeviceInfo) {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        self.facts = DeviceFacts {
            name: text(&info.name),
            model: text(&info.model),
            serial: text(&info.serial),
            firmware: text(&info.firmware),
            mac: info
                .mac
                .as_deref()
                .and_then(|mac| mac.parse().ok())
                .filter(|mac: &crate::model::mac::MacAddr| mac.is_unicast()),
            total_channels: info.channels,
            ..DeviceFacts::default()
        };
    }
}
