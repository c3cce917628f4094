//! The exported functions that give pictures.

use std::ffi::{CStr, c_char};
use std::ptr;

use crate::calls::{FALSE, TRUE};
use crate::data;
use crate::faults::setting;
use crate::state::{BAD_ARGUMENT, InCall, set_last_error};

/// `CHANNEL_ERROR`.
const NO_CHANNEL: u32 = 4;
/// `NOENOUGH_BUF`.
const NO_ROOM: u32 = 46;
/// `CREATEFILE_ERROR`.
const NO_FILE: u32 = 37;
/// What recorders pad their pictures with, in bytes.
const PADDING: usize = 16;

/// Takes a picture into a buffer of `room` bytes.
///
/// # Safety
///
/// The buffer has that room; the count has room for four bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn NET_SDK_CaptureJPEGData_V2(
    user: i64,
    channel: i64,
    buffer: *mut u8,
    room: u32,
    count: *mut u32,
) -> u8 {
    let (call, failure) = InCall::of_user("CaptureJPEGData_V2", user);
    if failure.is_some() {
        return FALSE;
    }
    if buffer.is_null() || count.is_null() {
        call.trace("VIOLATION null pointer");
        set_last_error(BAD_ARGUMENT);
        return FALSE;
    }
    let Some(bytes) = picture(&call, channel) else {
        return FALSE;
    };
    if bytes.len() > usize::try_from(room).unwrap_or(usize::MAX) {
        set_last_error(NO_ROOM);
        return FALSE;
    }
    let overrun = call.faults().chosen("OVERRUN");
    let overrun = overrun.and_then(|text| text.parse::<usize>().ok());
    let claimed = setting("COUNT").and_then(|text| text.parse().ok());
    let written = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    // SAFETY: the caller vouches for the room; writing behind it happens where a test asks for it.
    unsafe {
        ptr::copy_nonoverlapping(bytes.as_ptr(), buffer, bytes.len());
        if let Some(overrun) = overrun {
            let end = usize::try_from(room).unwrap_or_default();
            ptr::write_bytes(buffer.add(end), 0x5A, overrun);
        }
        count.write_unaligned(claimed.unwrap_or(written));
    }
    TRUE
}

/// Takes a picture into a file.
///
/// # Safety
///
/// The path ends with NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn NET_SDK_CaptureJPEGFile_V2(
    user: i64,
    channel: i64,
    path: *mut c_char,
) -> u8 {
    let (call, failure) = InCall::of_user("CaptureJPEGFile_V2", user);
    if failure.is_some() {
        return FALSE;
    }
    if path.is_null() {
        call.trace("VIOLATION null pointer");
        set_last_error(BAD_ARGUMENT);
        return FALSE;
    }
    // SAFETY: the caller vouches for the end.
    let path = unsafe { CStr::from_ptr(path) }.to_string_lossy();
    let Some(bytes) = picture(&call, channel) else {
        return FALSE;
    };
    if std::fs::write(&*path, bytes).is_err() {
        set_last_error(NO_FILE);
        return FALSE;
    }
    TRUE
}

/// A picture with the device's name and the channel in its comment.
fn picture(call: &InCall, channel: i64) -> Option<Vec<u8>> {
    let known = (0..i64::from(data::channels())).contains(&channel);
    if !known {
        set_last_error(NO_CHANNEL);
        return None;
    }
    let mut bytes = data::picture(&format!("{} channel {channel}", call.device));
    match setting("PICTURE").as_deref() {
        Some("cut") => bytes.truncate(bytes.len() / 2),
        Some("text") => bytes = b"<html>no picture</html>".to_vec(),
        _ => bytes.resize(bytes.len().saturating_add(PADDING), 0),
    }
    Some(bytes)
}
