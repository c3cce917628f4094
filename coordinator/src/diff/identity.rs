//! What makes a record the same device as another.

use tvtfleet_proto::model::mac::MacAddr;

use crate::results::ResultRecord;

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

impl<'a> Identity<'a> {
    pub(super) fn of(record: &'a ResultRecord<'_>) -> Self {
        let lasting = record.device_id.as_deref().unwrap_or("");
        // pytvt writes a head device's serial number as the name of its `device_info`.
        let head_serial = record
            .device_info
            .device_name
            .as_deref()
            .filter(|_| record.device_info.channel_count.is_some());
        let serials = [
            Some(record.serial_number.as_ref()),
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
            reported_mac: record.device_info.mac.as_deref().and_then(mac),
            expected_mac: mac(&record.nvr_mac)
                .or_else(|| lasting.strip_prefix("mac:").and_then(mac)),
            place: (&record.site, &record.nvr_ip, record.nvr_port),
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
