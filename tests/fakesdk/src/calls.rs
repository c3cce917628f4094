//! The exported functions.

use std::ffi::{CStr, c_char};
use std::ptr;

use crate::data::{self, Version};
use crate::faults::setting;
use crate::records::{ChannelStatus, DeviceInfo, DeviceInfo132};
use crate::state::{self, BAD_ARGUMENT, InCall, set_last_error};

/// `BUFFER too small` in the library's words.
pub(crate) const NO_ROOM: u32 = 46;
/// True and not one: a caller that takes the byte for a Rust `bool` is caught.
pub(crate) const TRUE: u8 = 0x81;
pub(crate) const FALSE: u8 = 0;

/// Starts the library.
#[unsafe(no_mangle)]
pub extern "C" fn NET_SDK_Init() -> u8 {
    let (_call, failure) = InCall::begin("Init", String::new());
    if failure.is_some() {
        return FALSE;
    }
    state::start();
    TRUE
}

/// Ends all sessions.
#[unsafe(no_mangle)]
pub extern "C" fn NET_SDK_Cleanup() -> u8 {
    let (_call, _) = InCall::begin("Cleanup", String::new());
    state::stop();
    TRUE
}

/// Takes the time for a connection in ms, and the number of tries.
#[unsafe(no_mangle)]
pub extern "C" fn NET_SDK_SetConnectTime(wait_ms: u32, tries: u32) -> u8 {
    let (call, failure) = InCall::begin("SetConnectTime", String::new());
    if wait_ms <= 300 || tries > 100 {
        call.trace("VIOLATION wait or tries out of range");
    }
    if failure.is_some() { FALSE } else { TRUE }
}

/// Takes the interval of reconnects in ms, and whether there are any.
#[unsafe(no_mangle)]
pub extern "C" fn NET_SDK_SetReconnect(_interval_ms: u32, _enable: u8) -> u8 {
    let (_call, failure) = InCall::begin("SetReconnect", String::new());
    if failure.is_some() { FALSE } else { TRUE }
}

/// The version word.
#[unsafe(no_mangle)]
pub extern "C" fn NET_SDK_GetSDKVersion() -> u32 {
    0x0001_0003
}

/// The build number.
#[unsafe(no_mangle)]
pub extern "C" fn NET_SDK_GetSDKBuildVersion() -> u32 {
    Version::chosen().build()
}

/// The number of the last failure on this thread.
#[unsafe(no_mangle)]
pub extern "C" fn NET_SDK_GetLastError() -> u32 {
    state::last_error()
}

/// Logs in.
///
/// # Safety
///
/// The texts end with NUL; the record has room for 428 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn NET_SDK_Login(
    host: *mut c_char,
    port: u16,
    user: *mut c_char,
    password: *mut c_char,
    record: *mut u8,
) -> i64 {
    // SAFETY: the caller vouches for the texts.
    let [host, user, password] = unsafe { [text(host), text(user), text(password)] };
    let device = format!("{host}:{port}");
    let (call, failure) = InCall::begin("Login", device.clone());
    if failure.is_some() {
        return -1;
    }
    if record.is_null() || host.is_empty() {
        call.trace("VIOLATION null pointer");
        set_last_error(BAD_ARGUMENT);
        return -1;
    }
    if !may_log_in(&call, &user, &password) {
        return -1;
    }
    // SAFETY: the caller vouches for the room.
    unsafe { write_device(&device, record) };
    state::open(device)
}

/// Whether the pair is the one that is accepted.
pub(crate) fn may_log_in(call: &InCall, user: &str, password: &str) -> bool {
    let wanted = setting("CREDS");
    let fits = wanted.is_none_or(|wanted| wanted == format!("{user}:{password}"));
    call.trace(if fits { "match" } else { "mismatch" });
    if !fits {
        let number = setting("BADLOGIN").and_then(|number| number.parse().ok());
        set_last_error(number.unwrap_or(1));
    }
    fits
}

/// Ends a session.
#[unsafe(no_mangle)]
pub extern "C" fn NET_SDK_Logout(user: i64) -> u8 {
    let (call, failure) = InCall::of_user("Logout", user);
    if state::has_lists(user) {
        call.trace("VIOLATION a list is still open");
    }
    if failure.is_some() {
        return FALSE;
    }
    state::close(user);
    TRUE
}

/// Reads the device's record again.
///
/// # Safety
///
/// The record has room for 428 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn NET_SDK_GetDeviceInfo(user: i64, record: *mut u8) -> u8 {
    let (call, failure) = InCall::of_user("GetDeviceInfo", user);
    if failure.is_some() || record.is_null() {
        return FALSE;
    }
    // SAFETY: the caller vouches for the room.
    unsafe { write_device(&call.device, record) };
    TRUE
}

/// Lists the cameras. `room` is in bytes.
///
/// # Safety
///
/// `rows` has `room` bytes, and `count` eight.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn NET_SDK_GetDeviceIPCInfo(
    user: i64,
    rows: *mut u8,
    room: i64,
    count: *mut i64,
) -> u8 {
    let (call, failure) = InCall::of_user("GetDeviceIPCInfo", user);
    if failure.is_some() {
        return FALSE;
    }
    let stride = Version::chosen().camera_stride();
    let records = data::cameras();
    let bytes: Vec<u8> = records
        .iter()
        .flat_map(|row| {
            let mut bytes = if stride == size_of_val(row) {
                as_bytes(row)
            } else {
                as_bytes(&data::older(row))
            };
            bytes.resize(stride, 0);
            bytes
        })
        .collect();
    // SAFETY: the caller vouches for the room.
    unsafe { write_rows(&call, &bytes, stride, rows, room, count) }
}

/// Lists the channels. `room` is in bytes.
///
/// # Safety
///
/// `rows` has `room` bytes, and `count` eight.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn NET_SDK_GetDeviceCHStatus(
    user: i64,
    rows: *mut u8,
    room: i64,
    count: *mut i64,
) -> u8 {
    let (call, failure) = InCall::of_user("GetDeviceCHStatus", user);
    if failure.is_some() {
        return FALSE;
    }
    let bytes: Vec<u8> = data::channel_rows().iter().flat_map(as_bytes).collect();
    // SAFETY: the caller vouches for the room.
    unsafe { write_rows(&call, &bytes, size_of::<ChannelStatus>(), rows, room, count) }
}

/// Writes as many whole rows as there is room for.
///
/// # Safety
///
/// `rows` has `room` bytes, and `count` eight.
unsafe fn write_rows(
    call: &InCall,
    bytes: &[u8],
    stride: usize,
    rows: *mut u8,
    room: i64,
    count: *mut i64,
) -> u8 {
    let room = usize::try_from(room).unwrap_or(0);
    if rows.is_null() || count.is_null() {
        call.trace("VIOLATION null pointer");
        set_last_error(BAD_ARGUMENT);
        return FALSE;
    }
    if room < stride || room % stride != 0 {
        call.trace("VIOLATION room is no multiple of a record");
    }
    if room < stride {
        set_last_error(NO_ROOM);
        return FALSE;
    }
    let written = bytes.len().min(room - room % stride);
    let overrun = call.faults().chosen("OVERRUN");
    let overrun = overrun
        .and_then(|text| text.parse::<usize>().ok())
        .unwrap_or(0);
    let claimed = setting("COUNT").and_then(|text| text.parse().ok());
    // SAFETY: the caller vouches for the room; writing behind it happens where a test asks for it.
    unsafe {
        if setting("ZEROFILL").is_some() {
            ptr::write_bytes(rows, 0, room);
        }
        ptr::copy_nonoverlapping(bytes.as_ptr(), rows, written);
        ptr::write_bytes(rows.add(room), 0x5A, overrun);
        let rows = i64::try_from(written / stride).unwrap_or(0);
        count.write_unaligned(claimed.unwrap_or(rows));
    }
    TRUE
}

/// Writes a device's record.
///
/// # Safety
///
/// There is room for 428 bytes.
pub(crate) unsafe fn write_device(device: &str, record: *mut u8) {
    let info = data::device(device);
    // SAFETY: the caller vouches for the room.
    unsafe {
        if Version::chosen() == Version::V132 {
            let info = DeviceInfo132 {
                base: info,
                product_type: 7,
            };
            record.cast::<DeviceInfo132>().write_unaligned(info);
        } else {
            record.cast::<DeviceInfo>().write_unaligned(info);
        }
    }
}

/// The bytes of a record; its padding is a field.
pub(crate) fn as_bytes<T: Copy>(record: &T) -> Vec<u8> {
    let mut bytes = vec![0; size_of::<T>()];
    // SAFETY: the buffer is as long as the record.
    unsafe { bytes.as_mut_ptr().cast::<T>().write_unaligned(*record) };
    bytes
}

/// A text of the caller.
///
/// # Safety
///
/// It ends with NUL, or the pointer is null.
pub(crate) unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller vouches for the end.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}
