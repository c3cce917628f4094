//! The exported functions that answer asks other than a scan.

use std::ptr;

use crate::calls::{FALSE, TRUE, as_bytes};
use crate::data::{self, Version};
use crate::faults::setting;
use crate::records::{DiskInfo, RecordStatus, Time};
use crate::state::{self, BAD_ARGUMENT, InCall, set_last_error};

/// `CHANNEL_ERROR`.
const NO_CHANNEL: u32 = 4;
/// `NOSUPPORT`.
const NO_SUPPORT: u32 = 26;

/// Reads the clock.
///
/// # Safety
///
/// The record has room for 16 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn NET_SDK_GetDeviceTime(user: i64, record: *mut u8) -> u8 {
    let (call, failure) = InCall::of_user("GetDeviceTime", user);
    if failure.is_some() || is_null(&call, record) {
        return FALSE;
    }
    // SAFETY: the caller vouches for the room.
    unsafe { record.cast::<Time>().write_unaligned(data::time()) };
    TRUE
}

/// Begins a list of disks.
#[unsafe(no_mangle)]
pub extern "C" fn NET_SDK_FindDisk(user: i64) -> i64 {
    let (_call, failure) = InCall::of_user("FindDisk", user);
    if failure.is_some() {
        return -1;
    }
    state::open_list(user)
}

/// Reads the next disk.
///
/// # Safety
///
/// The record has room for 20 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn NET_SDK_GetNextDiskInfo(handle: i64, record: *mut u8) -> u8 {
    let (call, failure) = InCall::begin("GetNextDiskInfo", String::new());
    if failure.is_some() || is_null(&call, record) {
        return FALSE;
    }
    let Some((_, row)) = state::next_row(handle) else {
        call.trace("VIOLATION no such list");
        set_last_error(BAD_ARGUMENT);
        return FALSE;
    };
    let Some(disk) = data::disks().get(row).copied() else {
        return FALSE;
    };
    let overrun = call.faults().chosen("OVERRUN");
    let overrun = overrun.and_then(|text| text.parse::<usize>().ok());
    // SAFETY: the caller vouches for the room; writing behind it happens where a test asks for it.
    unsafe {
        record.cast::<DiskInfo>().write_unaligned(disk);
        ptr::write_bytes(
            record.add(size_of::<DiskInfo>()),
            0x5A,
            overrun.unwrap_or(0),
        );
    }
    TRUE
}

/// Ends a list of disks.
#[unsafe(no_mangle)]
pub extern "C" fn NET_SDK_FindDiskClose(handle: i64) -> u8 {
    let (call, _) = InCall::begin("FindDiskClose", String::new());
    if state::close_list(handle) {
        return TRUE;
    }
    call.trace("VIOLATION no such list");
    FALSE
}

/// Lists what is being recorded. `elements` is a number of records.
///
/// # Safety
///
/// `rows` has room for that many records.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn NET_SDK_GetRecordStatusEx(user: i64, rows: *mut u8, elements: i64) -> i64 {
    let (call, failure) = InCall::of_user("GetRecordStatusEx", user);
    if failure.is_some() || is_null(&call, rows) {
        return -1;
    }
    if Version::chosen() != Version::V132 {
        call.trace("VIOLATION the function is of 1.3.2");
        set_last_error(NO_SUPPORT);
        return -1;
    }
    let records = data::record_rows();
    let room = usize::try_from(elements).unwrap_or(0);
    let bytes: Vec<u8> = records.iter().take(room).flat_map(as_bytes).collect();
    // SAFETY: the caller vouches for the room.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), rows, bytes.len()) };
    let claimed = setting("COUNT").and_then(|text| text.parse().ok());
    let written = bytes.len() / size_of::<RecordStatus>();
    claimed.unwrap_or_else(|| i64::try_from(written).unwrap_or(0))
}

/// Says where a stream is had.
///
/// # Safety
///
/// `line` has room for the address; the function takes no size, as the real one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn NET_SDK_GetRtspUrl(
    user: i64,
    channel: i64,
    stream: i64,
    line: *mut u8,
) -> u8 {
    let (call, failure) = InCall::of_user("GetRtspUrl", user);
    if failure.is_some() || is_null(&call, line) {
        return FALSE;
    }
    let kind = match stream {
        0 => "main",
        1 => "sub",
        _ => {
            set_last_error(NO_SUPPORT);
            return FALSE;
        }
    };
    if !(0..i64::from(data::channels())).contains(&channel) {
        set_last_error(NO_CHANNEL);
        return FALSE;
    }
    let host = call.device.rsplit_once(':').map_or("", |(host, _)| host);
    let address = format!("rtsp://{host}:554/?chID={}&streamType={kind}", channel + 1);
    let mut text = setting("URL").unwrap_or(address).into_bytes();
    text.push(0);
    // SAFETY: the caller vouches for the room.
    unsafe { ptr::copy_nonoverlapping(text.as_ptr(), line, text.len()) };
    TRUE
}

/// Starts the device again.
#[unsafe(no_mangle)]
pub extern "C" fn NET_SDK_RebootDVR(user: i64) -> u8 {
    let (_call, failure) = InCall::of_user("RebootDVR", user);
    if failure.is_some() { FALSE } else { TRUE }
}

fn is_null(call: &InCall, buffer: *mut u8) -> bool {
    if buffer.is_null() {
        call.trace("VIOLATION null pointer");
        set_last_error(BAD_ARGUMENT);
    }
    buffer.is_null()
}
