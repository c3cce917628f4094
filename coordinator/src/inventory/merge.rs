//! How a report or an imported entry changes the inventory: which device it is about, and what is
//! known afterwards.
//!
//! Pure. A device is known by its serial number, else its Ethernet address, else its address at the
//! site. The choices where these disagree:
//!
//! - **Names count within one site.** A box that claims the serial number of a recorder at another
//!   site must not be able to take that recorder's place, and the same private address exists at
//!   many sites. A recorder carried to another site is a new device there.
//! - **A changed address is a change.** Where the device that answers is one known from another
//!   address of the site, it has moved. What stood at the address before is absorbed if nothing but
//!   its address was known and it was listed after the device was last seen (an operator entered the
//!   new address as a new device). Else it is *displaced*: the two swap
//!   places until it is seen itself, so that every address of the inventory is still asked. Where
//!   there is nothing to swap, it stands nowhere: kept with its history, but not asked any more
//!   until it is seen or imported again.
//! - **Two devices with one serial number stay two.** When both answer in the same job, or their
//!   Ethernet addresses differ, the second one keeps its own place under its weaker name. The
//!   program does not decide whether they are clones or one box with two network ports.
//! - **A device may have several Ethernet addresses.** Against a known serial number, another one is
//!   a second port and not a second device.

use tvtfleet_proto::error::ErrorKind;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::channel::Channel;
use tvtfleet_proto::model::mac::MacAddr;
use tvtfleet_proto::model::report::{DeviceFacts, DeviceReport};
use tvtfleet_proto::model::time::UtcMillis;

use crate::store::DeviceRow;

/// What is known of a device's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its row.
    pub(crate) row: DeviceRow,
    /// The serial number that it last reported; may be empty.
    pub(crate) serial: String,
    /// The Ethernet address that it last reported.
    pub(crate) mac: Option<MacAddr>,
    /// The Ethernet address that the inventory wrote.
    pub(crate) listed_mac: Option<MacAddr>,
    /// When it entered the inventory.
    pub(crate) since: UtcMillis,
    /// When it last answered.
    pub(crate) last_success: Option<UtcMillis>,
    /// Whether it was seen at another address in the same job or import.
    pub(crate) elsewhere: bool,
}

/// What becomes of the device that held the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// There was none.
    None,
    /// It was the same device under a weaker name: its row goes away.
    Absorbed,
    /// It stays known, and gives way.
    Displaced,
}

/// Which device it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// The one that holds the address.
    Holder,
    /// One known from another address, which has moved here.
    Moved(DeviceRow, Fate),
    /// One never seen before.
    New(Fate),
}

/// Finds the device that answered.
///
/// `holder` is the device at the address that was asked; `by_serial` and `by_mac` are the devices
/// of the site that answer to the names which the report gives.
pub(crate) fn place_report(
    facts: &DeviceFacts,
    holder: Option<&Known>,
    by_serial: Option<&Known>,
    by_mac: Option<&Known>,
) -> Placement {
    let serial = facts.serial.trim();
    let mac = facts.mac.filter(|mac| mac.is_unicast());
    let is_holder = |other: Option<&Known>| matches!((other, holder), (Some(other), Some(holder)) if other.row == holder.row);
    let named_holder = if serial.is_empty() {
        is_holder(by_mac) || holder.is_some_and(|holder| mac.is_some() && holder.mac == mac)
    } else {
        is_holder(by_serial) || holder.is_some_and(|holder| holder.serial == serial)
    };
    if named_holder {
        return Placement::Holder;
    }
    let same_box = |other: &&Known| !other.elsewhere && !contradict(other.mac, mac);
    let mac_agrees = |other: &&Known| {
        !other.elsewhere && (serial.is_empty() || other.serial.is_empty() || other.serial == serial)
    };
    let moved = by_serial
        .filter(same_box)
        .or_else(|| by_mac.filter(mac_agrees));
    if let Some(moved) = moved.filter(|moved| !is_holder(Some(moved))) {
        return Placement::Moved(moved.row, fate(holder, moved, mac));
    }
    match holder {
        None => Placement::New(Fate::None),
        Some(holder) if is_replaced(holder, serial, mac) => Placement::New(Fate::Displaced),
        Some(_) => Placement::Holder,
    }
}

/// Finds the device that an imported entry names. `by_mac` is the device of the site that answers
/// to the Ethernet address which the entry gives.
pub(crate) fn place_entry(
    mac: Option<MacAddr>,
    holder: Option<&Known>,
    by_mac: Option<&Known>,
) -> Placement {
    let named_holder = holder
        .is_some_and(|holder| mac.is_some() && (holder.mac == mac || holder.listed_mac == mac));
    let moved = by_mac.filter(|other| !other.elsewhere && !named_holder);
    match (moved, holder) {
        (Some(moved), Some(holder)) if moved.row == holder.row => Placement::Holder,
        (Some(moved), _) => Placement::Moved(moved.row, fate(holder, moved, mac)),
        (None, Some(_)) => Placement::Holder,
        (None, None) => Placement::New(Fate::None),
    }
}

/// What is known after a report: what the device did not say stays as it was.
pub(crate) fn merge_facts(known: &DeviceFacts, report: &DeviceFacts) -> DeviceFacts {
    let text = |new: &str, old: &str| {
        let new = new.trim();
        if new.is_empty() {
            old.to_owned()
        } else {
            new.to_owned()
        }
    };
    DeviceFacts {
        name: text(&report.name, &known.name),
        model: text(&report.model, &known.model),
        serial: text(&report.serial, &known.serial),
        firmware: text(&report.firmware, &known.firmware),
        mac: report.mac.or(known.mac),
        total_channels: report.total_channels.or(known.total_channels),
        family: report.family.or(known.family),
        protocol_version: report.protocol_version.or(known.protocol_version),
        device_type: report.device_type.or(known.device_type),
        config_data_len: report.config_data_len.or(known.config_data_len),
        software_ver_hex: text(&report.software_ver_hex, &known.software_ver_hex),
        build_date: report.build_date.or(known.build_date),
    }
}

/// The channels that a report establishes, or `None` where it says nothing about them.
///
/// Other asks do not ask for all of it, a failure does not know them, and an empty list with a warning
/// that the answer is incomplete is no news either.
pub(crate) fn reported_channels(report: &DeviceReport) -> Option<&[Channel]> {
    let partial = || {
        report
            .warnings
            .iter()
            .any(|code| code.kind() == ErrorKind::Partial)
    };
    // Only a scan tells all that the inventory keeps of a channel.
    let scanned = report.ask == Ask::Scan && report.is_success();
    let no_news = !scanned || (report.channels.is_empty() && partial());
    (!no_news).then_some(report.channels.as_slice())
}

fn contradict(one: Option<MacAddr>, other: Option<MacAddr>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one != other)
}

/// Whether what answers cannot be the device that held the address.
fn is_replaced(holder: &Known, serial: &str, mac: Option<MacAddr>) -> bool {
    match (holder.serial.is_empty(), serial.is_empty()) {
        (false, false) => holder.serial != serial,
        // The stronger name says nothing: another Ethernet address may be a second port.
        (false, true) => false,
        (true, _) => contradict(holder.mac, mac),
    }
}

fn fate(holder: Option<&Known>, moved: &Known, mac: Option<MacAddr>) -> Fate {
    let Some(holder) = holder else {
        return Fate::None;
    };
    let bare =
        holder.serial.is_empty() && holder.mac.is_none() && !contradict(holder.listed_mac, mac);
    if bare && holder.since > moved.last_success.unwrap_or(moved.since) {
        Fate::Absorbed
    } else {
        Fate::Displaced
    }
}

#[cfg(test)]
mod tests;
