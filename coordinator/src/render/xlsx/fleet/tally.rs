//! What the summary and the matrix count, in one pass over the results.

use std::collections::BTreeMap;

use crate::render::console::FleetSummary;
use crate::render::xlsx::list::real;
use crate::results::{CameraRecord, ResultRecord};

/// The most models and versions that are told apart; what else comes is counted as one.
const KINDS_MAX: usize = 2_000;
/// What stands for a model or version that a device did not say, and for those beyond the bound.
const UNKNOWN: &str = "(unknown)";
const OTHERS: &str = "(others)";

/// Counts of a fleet.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Devices by site and failures by code.
    pub(super) devices: FleetSummary,
    /// Cameras of all sites.
    pub(super) cameras: Cameras,
    /// Cameras by site.
    pub(super) sites: BTreeMap<String, Cameras>,
    /// Devices by model, then version.
    pub(super) firmware: BTreeMap<String, BTreeMap<String, u64>>,
    kinds: usize,
}

/// Channels by what the recorder says of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cameras {
    pub(super) all: u64,
    pub(super) addressed: u64,
    pub(super) online: u64,
    pub(super) offline: u64,
}

impl Cameras {
    fn add(&mut self, camera: &CameraRecord<'_>) {
        self.all += 1;
        self.addressed += u64::from(camera.has_address());
        self.online += u64::from(camera.status == "Online");
        self.offline += u64::from(camera.status == "Offline");
    }

    /// Those of which it is not known whether they are connected.
    pub(super) const fn unclear(self) -> u64 {
        self.all.saturating_sub(self.online + self.offline)
    }

    /// The share of those online among those of which it is known.
    pub(super) fn online_share(self) -> Option<f64> {
        let known = self.online + self.offline;
        (known > 0).then(|| real(self.online) / real(known))
    }
}

impl Tally {
    pub(super) fn add(&mut self, record: &ResultRecord<'_>) {
        self.devices.add(record);
        if !self.sites.contains_key(record.site.as_ref()) {
            self.sites
                .insert(record.site.to_string(), Cameras::default());
        }
        if let Some(site) = self.sites.get_mut(record.site.as_ref()) {
            for camera in &record.cameras {
                site.add(camera);
                self.cameras.add(camera);
            }
        }
        if !record.device_model.is_empty() || !record.firmware.is_empty() || record.success {
            self.add_firmware(&record.device_model, &record.firmware);
        }
    }

    fn add_firmware(&mut self, model: &str, version: &str) {
        let named = |text: &str| match text.trim() {
            "" => UNKNOWN.to_owned(),
            text => text.to_owned(),
        };
        let (mut model, mut version) = (named(model), named(version));
        let is_new = |firmware: &BTreeMap<String, BTreeMap<String, u64>>| {
            firmware
                .get(&model)
                .is_none_or(|versions| !versions.contains_key(&version))
        };
        if is_new(&self.firmware) {
            if self.kinds < KINDS_MAX {
                self.kinds += 1;
            } else {
                (model, version) = (OTHERS.to_owned(), OTHERS.to_owned());
            }
        }
        *self
            .firmware
            .entry(model)
            .or_default()
            .entry(version)
            .or_default() += 1;
    }
}
