//! The records of a search, `NET_SDK_DEVICE_DISCOVERY_INFO`: three lengths exist, and the data says which.
//!
//! Wire source: vendor headers of 1.2.1.028 and 1.2.1.036, and two bindings of 1.3.2.

use std::net::Ipv4Addr;
use std::ops::Range;

use tvtfleet_proto::device::sdkpipe::FoundRow;

use crate::layout::{FIRST_036, FIRST_132, Mismatch, Score, is_plain, number, rows, text, word};

/// The offsets of a record.
#[derive(Debug, PartialEq, Eq)]
struct FoundLayout {
    stride: usize,
    model: Range<usize>,
    address: Range<usize>,
    mask: Range<usize>,
    gateway: Range<usize>,
    mac: Range<usize>,
    data_port: usize,
    http_port: usize,
    software: usize,
    brand: Option<Range<usize>>,
    name: Option<Range<usize>>,
}

const TYPE: usize = 0;

/// 1.2.1.028.
const FOUND_028: FoundLayout = FoundLayout {
    stride: 124,
    model: 4..20,
    address: 20..36,
    mask: 36..52,
    gateway: 52..68,
    mac: 68..74,
    data_port: 76,
    http_port: 78,
    software: 80,
    brand: None,
    name: None,
};

/// 1.2.1.036.
const FOUND_036: FoundLayout = FoundLayout {
    stride: 156,
    model: 4..36,
    address: 36..52,
    mask: 52..68,
    gateway: 68..84,
    mac: 84..90,
    data_port: 92,
    http_port: 94,
    software: 96,
    brand: Some(139..155),
    name: None,
};

/// 1.3.2. UNCERTAIN: its header is not public; the answer of one device to a build of it would settle it.
const FOUND_132: FoundLayout = FoundLayout {
    stride: 176,
    name: Some(155..175),
    ..FOUND_036
};

/// Reads `count` records of a library with this build number.
pub(crate) fn devices(bytes: &[u8], count: i64, build: u32) -> Result<Vec<FoundRow>, Mismatch> {
    let likely = if build >= FIRST_132 {
        &FOUND_132
    } else if build >= FIRST_036 {
        &FOUND_036
    } else {
        &FOUND_028
    };
    let mut best = (likely, score(bytes, count, likely)?);
    for layout in [&FOUND_036, &FOUND_132, &FOUND_028] {
        let found = score(bytes, count, layout)?;
        if found > best.1 {
            best = (layout, found);
        }
    }
    let (layout, found) = best;
    if !found.fits() {
        let text = format!("no known record of a search fits {count} rows of build {build}");
        return Err(Mismatch(text));
    }
    let read = |row| {
        let optional = |range: &Option<Range<usize>>| match range {
            Some(range) => text(row, range.clone()),
            None => String::new(),
        };
        let mut mac = [0; 6];
        for (to, from) in mac.iter_mut().zip(field(row, &layout.mac)) {
            *to = *from;
        }
        FoundRow {
            device_type: word(row, TYPE),
            model: text(row, layout.model.clone()),
            address: text(row, layout.address.clone()),
            mask: text(row, layout.mask.clone()),
            gateway: text(row, layout.gateway.clone()),
            mac,
            data_port: number(row, layout.data_port),
            http_port: number(row, layout.http_port),
            software: word(row, layout.software),
            brand: optional(&layout.brand),
            name: optional(&layout.name),
        }
    };
    Ok(rows(bytes, count, layout.stride)?.map(read).collect())
}

fn field<'a>(row: &'a [u8], range: &Range<usize>) -> &'a [u8] {
    row.get(range.clone()).unwrap_or_default()
}

fn score(bytes: &[u8], count: i64, layout: &FoundLayout) -> Result<Score, Mismatch> {
    let mut score = Score::default();
    for row in rows(bytes, count, layout.stride)? {
        score.count(word(row, TYPE) < 0x1_0000 || word(row, TYPE) >> 16 == 1);
        score.count(is_plain(field(row, &layout.model)));
        for range in [&layout.address, &layout.mask, &layout.gateway] {
            let said = text(row, range.clone());
            score.count(said.is_empty() || said.parse::<Ipv4Addr>().is_ok());
        }
        // Nobody is found without an address and a port.
        score.count(!text(row, layout.address.clone()).is_empty());
        score.count(number(row, layout.data_port) != 0);
    }
    Ok(score)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::tests::{LAYOUTS, field as published};
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn offsets_are_those_of_the_headers() {
        let all: Value = serde_json::from_str(LAYOUTS).unwrap();
        let theirs = &all["structs"]["NET_SDK_DEVICE_DISCOVERY_INFO"];
        assert_eq!(theirs["size"], 156);
        let ours = &FOUND_036;
        assert_eq!(TYPE, published(theirs, "deviceType").start);
        assert_eq!(ours.model, published(theirs, "productType"));
        assert_eq!(ours.address, published(theirs, "strIP"));
        assert_eq!(ours.mask, published(theirs, "strNetMask"));
        assert_eq!(ours.gateway, published(theirs, "strGateWay"));
        assert_eq!(ours.mac.start, published(theirs, "byMac").start);
        assert_eq!(ours.data_port, published(theirs, "netPort").start);
        assert_eq!(ours.http_port, published(theirs, "httpPort").start);
        assert_eq!(ours.software, published(theirs, "softVer").start);
        assert_eq!(ours.brand, Some(published(theirs, "nocName")));
    }

    fn row(layout: &FoundLayout, host: u8) -> Vec<u8> {
        let mut row = vec![0; layout.stride];
        row[0] = 3;
        row[layout.model.start..][..4].copy_from_slice(b"TD-3");
        let address = format!("192.0.2.{host}");
        row[layout.address.start..][..address.len()].copy_from_slice(address.as_bytes());
        row[layout.mask.start..][..13].copy_from_slice(b"255.255.255.0");
        row[layout.mac.start..][..6].copy_from_slice(&[0x58, 0x5B, 0x69, 0, 0, host]);
        row[layout.data_port..][..2].copy_from_slice(&6036_u16.to_le_bytes());
        row
    }

    #[test]
    fn the_data_decides_where_the_build_number_lies() {
        for layout in [&FOUND_028, &FOUND_036, &FOUND_132] {
            let mut bytes: Vec<u8> = (1..=3).flat_map(|host| row(layout, host)).collect();
            bytes.resize(4096, 0xA5);
            for build in [40_101, 60_222, 90_116] {
                let found = devices(&bytes, 3, build).unwrap();
                let hosts: Vec<_> = found.iter().map(|row| row.address.as_str()).collect();
                assert_eq!(hosts, ["192.0.2.1", "192.0.2.2", "192.0.2.3"], "{build}");
                assert!(found.iter().all(|row| row.data_port == 6036));
                assert_eq!(found[2].mac, [0x58, 0x5B, 0x69, 0, 0, 3]);
            }
        }
    }

    #[test]
    fn rows_that_were_not_written_are_a_mismatch() {
        let mut bytes = row(&FOUND_036, 1);
        bytes.resize(64 * 156, 0xA5);
        assert!(devices(&bytes, 64, 60_222).is_err());
        assert!(devices(&bytes, -1, 60_222).is_err());
        assert_eq!(devices(&bytes, 0, 60_222).unwrap(), []);
    }

    proptest! {
        #[test]
        fn arbitrary_buffers_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..2000), count: i64, build: u32,
        ) {
            let _ = devices(&bytes, count, build);
        }
    }
}
