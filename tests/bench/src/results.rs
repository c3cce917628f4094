//! Result files in pytvt's format, before and after a fleet has changed.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};
use serde_json::{Map, Value, json};

/// How a fleet's results look.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// Recorders.
    pub devices: u32,
    /// Cameras of each.
    pub cameras: u32,
    /// Sites; recorders are dealt out in turn.
    pub sites: u32,
}

/// When a result was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before.
    Old,
    /// After: one recorder in 100 is new and one is gone, one in 20 has other firmware, one in 50
    /// failed, one in 10 has a renamed camera, and one camera in 40 went offline.
    New,
}

impl Fleet {
    /// Writes the results of this fleet, indented as pytvt does.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn write(self, moment: Moment, path: &Path) -> Result<()> {
        let file =
            File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        let mut file = BufWriter::new(file);
        let mut serializer = serde_json::Serializer::pretty(&mut file);
        let mut list = serializer.serialize_seq(None)?;
        for device in 0..self.devices {
            let elsewhere = match moment {
                Moment::Old => device % 100 == 98,
                Moment::New => device % 100 == 99,
            };
            if !elsewhere {
                list.serialize_element(&self.device(device, moment))?;
            }
        }
        list.end()?;
        file.flush().context("cannot write the results")
    }

    fn device(self, number: u32, moment: Moment) -> impl Serialize + use<> {
        let new = moment == Moment::New;
        let [_, high, middle, low] = number.to_be_bytes();
        let failed = new && number % 50 == 7;
        let cameras: Vec<Value> = (1..=self.cameras)
            .filter(|_| !failed)
            .map(|channel| camera(number, channel, moment))
            .collect();
        let mac = format!("58:5B:69:{high:02X}:{middle:02X}:{low:02X}");
        let name = if failed {
            String::new()
        } else {
            format!("NVR-{number:05}")
        };
        let firmware = match (failed, new && number % 20 == 3) {
            (true, _) => "",
            (false, true) => "1.4.13.7",
            (false, false) => "1.4.12.2",
        };
        let mut record = Map::new();
        let mut put = |key: &str, value: Value| record.insert(key.to_owned(), value);
        put(
            "site",
            format!("Site {:03}", number % self.sites.max(1)).into(),
        );
        put("hostname", format!("nvr-{number:05}").into());
        put("nvr_ip", format!("10.{high}.{middle}.{low}").into());
        put("nvr_mac", mac.as_str().into());
        put("nvr_port", 6036.into());
        put("success", (!failed).into());
        put("device_name", name.as_str().into());
        put(
            "device_model",
            (if failed { "" } else { "TD-3332H4" }).into(),
        );
        put(
            "serial_number",
            (if failed {
                String::new()
            } else {
                format!("N{number:010}")
            })
            .into(),
        );
        put("firmware", firmware.into());
        put("total_channels", cameras.len().into());
        put("cameras", cameras.into());
        put(
            "error",
            if failed {
                "Connection timed out (10s)".into()
            } else {
                Value::Null
            },
        );
        put("backend", "protocol".into());
        let info = json!({
            "config_data_len": 0,
            "software_ver": "0D0C0401",
            "build_date": 20_241_010,
            "mac": mac,
            "device_name": name,
        });
        put("device_info", if failed { json!({}) } else { info });
        record
    }
}

fn camera(device: u32, channel: u32, moment: Moment) -> Value {
    let new = moment == Moment::New;
    let place = device.wrapping_mul(31).wrapping_add(channel);
    let renamed = new && device % 10 == 1 && channel == 2;
    let offline = place % 16 == 5 || (new && place % 40 == 11);
    json!({
        "channel": channel,
        "name": format!("{} {channel}", if renamed { "Loading bay" } else { "Parkdeck Süd" }),
        "address": format!("192.168.{}.{}", device % 250, channel + 10),
        "port": 9008,
        "status": if offline { "Offline" } else { "Online" },
        "protocol": "TVT",
        "model": "IP-5IRD4S4C4-28",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_differ_in_what_is_said_to_change() {
        let folder = tempfile::tempdir().unwrap();
        let fleet = Fleet {
            devices: 200,
            cameras: 4,
            sites: 10,
        };
        let read = |moment, name: &str| -> Vec<Value> {
            let path = folder.path().join(name);
            fleet.write(moment, &path).unwrap();
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
        };
        let (old, new) = (read(Moment::Old, "old"), read(Moment::New, "new"));
        assert_eq!((old.len(), new.len()), (198, 198));
        let failed = |list: &[Value]| {
            list.iter()
                .filter(|device| device["success"] == false)
                .count()
        };
        assert_eq!((failed(&old), failed(&new)), (0, 4));
        assert_ne!(old[3]["firmware"], new[3]["firmware"]);
        assert_eq!(old[2]["cameras"].as_array().unwrap().len(), 4);
    }
}
