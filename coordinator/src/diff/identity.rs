//! What makes a record the same device as another.

use tvtfleet_proto::model::mac::MacAddr;

use crate::results::{DeviceInfo, ResultRecord};

/// A device's names, from a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity<'a> {
    /// The serial number.
    pub(super) serial: Option<&'a str>,
    /// The MAC that the device itself reported.
    pub(super) reported_mac: Option<MacAddr>,
    /// The MAC of the inventory, or of the lasting name: true of what was expected there.
    pub(super) expected_mac: Option<MacAddr>,
    /// Site, address and port.
    pub(super) place: (&'a str, &'a str, i64),
}

/// The parts of a record that tell its device apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a, 'i> {
    pub(super) device_id: Option<&'a str>,
    pub(super) serial_number: &'a str,
    pub(super) nvr_mac: &'a str,
    pub(super) device_info: &'a DeviceInfo<'i>,
    /// Site, address and port.
    pub(super) place: (&'a str, &'a str, i64),
}

impl<'a> Identity<'a> {
    pub(super) fn of(record: &'a ResultRecord<'_>) -> Self {
        Self::from_parts(&Parts {
            device_id: record.device_id.as_deref(),
            serial_number: &record.serial_number,
            nvr_mac: &record.nvr_mac,
            device_info: &record.device_info,
            place: (&record.site, &record.nvr_ip, record.nvr_port),
        })
    }

    pub(super) fn from_parts(parts: &Parts<'a, '_>) -> Self {
        let lasting = parts.device_id.unwrap_or("");
        let info = parts.device_info;
        // pytvt writes a head device's serial number as the name of its `device_info`.
        let head_serial = info
            .device_name
            .as_deref()
            .filter(|_| info.channel_count.is_some());
        let serials = [
            Some(parts.serial_number),
            head_serial,
            lasting.strip_prefix("sn:"),
        ];
        let mac = |text: &str| text.parse().ok().filter(|mac: &MacAddr| mac.is_unicast());
        Self {
            serial: serials
                .into_iter()
                .flatten()
                .map(str::trim)
                .find(|serial| !serial.is_empty()),
            reported_mac: info.mac.as_deref().and_then(mac),
            expected_mac: mac(parts.nvr_mac).or_else(|| lasting.strip_prefix("mac:").and_then(mac)),
            place: parts.place,
        }
    }

    /// Whether the two cannot be one device.
    ///
    /// Serial numbers decide where both are known, then the MACs that the devices reported, then
    /// those of the inventories. One source is never held against another: an inventory may be out
    /// of date, and a recorder with two network ports has two MACs.
    pub(super) fn contradicts(&self, other: &Self) -> bool {
        if let (Some(ours), Some(theirs)) = (self.serial, other.serial) {
            return ours != theirs;
        }
        match (self.reported_mac, other.reported_mac) {
            (Some(ours), Some(theirs)) => ours != theirs,
            (None, None) => {
                matches!((self.expected_mac, other.expected_mac), (Some(a), Some(b)) if a != b)
            }
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}
