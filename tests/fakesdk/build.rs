//! Writes assertions on the layout of the records from the published layouts, so that a record that
//! is wrong does not compile.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

const LAYOUTS: &str = "../vectors/netsdk_layout.json";

/// Our record, the vendor's, which variant, and our fields with the vendor's names.
type Record = (
    &'static str,
    &'static str,
    Option<usize>,
    &'static [(&'static str, &'static str)],
);

const RECORDS: [Record; 9] = [
    (
        "DeviceInfo",
        "NET_SDK_DEVICEINFO",
        None,
        &[
            ("device_type", "deviceType"),
            ("video_inputs", "videoInputNum"),
            ("mac", "deviceMAC"),
            ("port", "devicePort"),
            ("build_date", "buildDate"),
            ("name", "deviceName"),
            ("firmware", "firmwareVersion"),
            ("kernel", "kernelVersion"),
            ("hardware", "hardwareVersion"),
            ("serial", "szSN"),
            ("product", "deviceProduct"),
        ],
    ),
    (
        "DeviceInfo132",
        "NET_SDK_DEVICEINFO",
        Some(0),
        &[("product_type", "dwProductType")],
    ),
    (
        "Camera036",
        "NET_SDK_IPC_DEVICE_INFO",
        None,
        &[
            ("channel", "channel"),
            ("guid", "guid"),
            ("status", "status"),
            ("server", "szServer"),
            ("port", "nPort"),
            ("http_port", "nHttpPort"),
            ("control_port", "nCtrlPort"),
            ("user", "username"),
            ("maker", "manufacturerName"),
            ("model", "productModel"),
            ("poe", "bPOEDevice"),
            ("name", "szChlname"),
        ],
    ),
    (
        "Camera028",
        "NET_SDK_IPC_DEVICE_INFO",
        Some(0),
        &[
            ("channel", "channel"),
            ("status", "status"),
            ("server", "szServer"),
            ("port", "nPort"),
            ("maker", "manufacturerName"),
            ("model", "productModel"),
        ],
    ),
    (
        "ChannelStatus",
        "NET_SDK_CH_DEVICE_STATUS",
        None,
        &[
            ("channel", "channel"),
            ("status", "status"),
            ("kind", "chlType"),
            ("name", "name"),
        ],
    ),
    (
        "Time",
        "DD_TIME",
        None,
        &[
            ("second", "second"),
            ("minute", "minute"),
            ("hour", "hour"),
            ("weekday", "wday"),
            ("day", "mday"),
            ("month", "month"),
            ("year", "year"),
        ],
    ),
    (
        "DiskInfo",
        "NET_SDK_DISK_INFO",
        None,
        &[
            ("index", "diskIndex"),
            ("status", "diskStatus"),
            ("property", "diskProperty"),
            ("total", "diskTotalSpace"),
            ("free", "diskFreeSpace"),
        ],
    ),
    (
        "Found036",
        "NET_SDK_DEVICE_DISCOVERY_INFO",
        None,
        &[
            ("device_type", "deviceType"),
            ("product", "productType"),
            ("address", "strIP"),
            ("mask", "strNetMask"),
            ("gateway", "strGateWay"),
            ("mac", "byMac"),
            ("port", "netPort"),
            ("http_port", "httpPort"),
            ("software", "softVer"),
            ("build_date", "softBuildDate"),
            ("not_activated", "deviceActivated"),
            ("brand", "nocName"),
        ],
    ),
    (
        "RecordStatus",
        "NET_SDK_RECORD_STATUS_EX",
        Some(0),
        &[
            ("device", "deviceName"),
            ("kind", "dwRecordType"),
            ("channel", "dwChannel"),
            ("status", "dwRecordStatus"),
            ("stream", "dwStreamType"),
            ("resolution", "dwResolution"),
            ("frame_rate", "dwFrameRate"),
            ("quality", "dwQuality"),
        ],
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let text = std::fs::read_to_string(LAYOUTS)?;
    let layouts: Value = serde_json::from_str(&text)?;
    let mut code = String::new();
    for (ours, theirs, variant, fields) in RECORDS {
        let mut layout = layouts.get("structs").and_then(|all| all.get(theirs));
        if let Some(number) = variant {
            layout = layout.and_then(|layout| layout.get("variants")?.get(number));
        }
        let layout = layout.ok_or_else(|| format!("no layout of {theirs}"))?;
        let size = layout.get("size").and_then(Value::as_u64);
        let size = size.ok_or_else(|| format!("no size of {theirs}"))?;
        writeln!(
            code,
            "const _: () = assert!(size_of::<{ours}>() == {size});"
        )?;
        for (our_name, their_name) in fields {
            let all = layout.get("fields").and_then(Value::as_array);
            let field = all
                .into_iter()
                .flatten()
                .find(|field| field.get("name").and_then(Value::as_str) == Some(their_name));
            let offset = field
                .and_then(|field| field.get("offset"))
                .and_then(Value::as_u64);
            let offset = offset.ok_or_else(|| format!("no {their_name} in {theirs}"))?;
            writeln!(
                code,
                "const _: () = assert!(core::mem::offset_of!({ours}, {our_name}) == {offset});"
            )?;
        }
    }
    let folder = std::env::var_os("OUT_DIR").ok_or("no OUT_DIR")?;
    std::fs::write(Path::new(&folder).join("layout_checks.rs"), code)?;
    Ok(())
}
