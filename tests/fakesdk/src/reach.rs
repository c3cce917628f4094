//! The exported functions that reach further: a search, logins by serial number, and documents for the
//! recorders' web interface.

use std::ffi::c_char;
use std::path::Path;
use std::ptr;
use std::time::Duration;

use crate::calls::{FALSE, NO_ROOM, TRUE, as_bytes, may_log_in, text, write_device};
use crate::data::{self, Version};
use crate::faults::setting;
use crate::records::Found036;
use crate::state::{self, BAD_ARGUMENT, InCall, set_last_error};

/// `NETWORK_FAIL_CONNECT`: also for a server that does not know the serial number.
const UNREACHABLE: u32 = 8;
/// The longest search, in seconds.
const SEARCH_MAX: i32 = 60;
/// What a record of 1.3.2 has at its end: the device's name, 20 bytes from 155 on, and a spare one.
const NAME_AT: usize = 155;
const RECORD_132: usize = 176;

/// Looks for devices. `elements` is a number of records, `seconds` whole seconds.
///
/// # Safety
///
/// `rows` has room for that many records.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn NET_SDK_DiscoverDevice(rows: *mut u8, elements: i32, seconds: i32) -> i32 {
    let (call, failure) = InCall::begin("DiscoverDevice", String::new());
    if !(1..=SEARCH_MAX).contains(&seconds) {
        call.trace("VIOLATION a search is 1 to 60 seconds");
    }
    if failure.is_some() || rows.is_null() {
        return 0;
    }
    std::thread::sleep(Duration::from_secs(u64::from(
        seconds.clamp(0, SEARCH_MAX).unsigned_abs(),
    )));
    let room = usize::try_from(elements).unwrap_or(0);
    let found = data::found();
    let bytes: Vec<u8> = found.iter().take(room).flat_map(record).collect();
    let overrun = call.faults().chosen("OVERRUN");
    let overrun = overrun.and_then(|text| text.parse::<usize>().ok());
    let claimed = setting("COUNT").and_then(|text| text.parse().ok());
    // SAFETY: the caller vouches for the room; writing behind it happens where a test asks for it.
    unsafe {
        ptr::copy_nonoverlapping(bytes.as_ptr(), rows, bytes.len());
        ptr::write_bytes(rows.add(room * 256), 0x5A, overrun.unwrap_or(0));
    }
    claimed.unwrap_or_else(|| i32::try_from(found.len().min(room)).unwrap_or(0))
}

/// A record as the version has it.
fn record(row: &Found036) -> Vec<u8> {
    let mut bytes = as_bytes(row);
    match Version::chosen() {
        Version::V036 => {}
        Version::V132 => {
            bytes.truncate(NAME_AT);
            bytes.extend_from_slice(b"fake recorder");
            bytes.resize(RECORD_132, 0);
        }
        Version::V028 => {
            // The model has half the room, and what came later is not there.
            bytes.drain(20..36);
            bytes.truncate(124);
        }
    }
    bytes
}

/// Names the server of logins by serial number; once.
///
/// # Safety
///
/// The text ends with NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn NET_SDK_SetNat2Addr(server: *mut c_char, port: u16) -> u8 {
    // SAFETY: the caller vouches for the text.
    let server = format!("{}:{port}", unsafe { text(server) });
    let (call, failure) = InCall::begin("SetNat2Addr", server.clone());
    if failure.is_some() {
        return FALSE;
    }
    if state::set_nat(server) {
        return TRUE;
    }
    call.trace("VIOLATION a second server");
    FALSE
}

/// Logs in by address (`kind` 0), or by serial number through a server (1 and 2).
///
/// # Safety
///
/// The texts end with NUL; the record has room for 428 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn NET_SDK_LoginEx(
    host: *mut c_char,
    port: u16,
    user: *mut c_char,
    password: *mut c_char,
    record: *mut u8,
    kind: i32,
    serial: *const c_char,
) -> i64 {
    // SAFETY: the caller vouches for the texts.
    let [host, user, password] = unsafe { [text(host), text(user), text(password)] };
    // SAFETY: as before.
    let serial = unsafe { text(serial) };
    let (call, failure) = InCall::begin("LoginEx", format!("{serial}:0"));
    if failure.is_some() {
        return -1;
    }
    if record.is_null() || serial.is_empty() || !(1..=2).contains(&kind) {
        call.trace("VIOLATION a login without what it needs");
        set_last_error(BAD_ARGUMENT);
        return -1;
    }
    let server = if kind == 1 {
        Some(format!("{host}:{port}"))
    } else {
        state::nat()
    };
    let Some(server) = server else {
        call.trace("VIOLATION no server was named");
        set_last_error(UNREACHABLE);
        return -1;
    };
    call.trace(&format!("kind {kind} by {server}"));
    if setting("NAT").is_some_and(|known| known != server) {
        set_last_error(UNREACHABLE);
        return -1;
    }
    if !may_log_in(&call, &user, &password) {
        return -1;
    }
    // SAFETY: the caller vouches for the room.
    unsafe { write_device(&call.device, record) };
    state::open(call.device.clone())
}

/// Passes a document on to the device's interface.
///
/// # Safety
///
/// The texts end with NUL, `answer` has `room` bytes, and `written` four.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn NET_SDK_ApiInterface(
    user: i64,
    document: *mut c_char,
    path: *mut c_char,
    answer: *mut u8,
    room: u32,
    written: *mut u32,
) -> u8 {
    let call = InCall::of_user("ApiInterface", user);
    // SAFETY: the caller vouches for the same.
    unsafe { pass_on(call, document, path, (answer, room), written) }
}

/// Passes anything on to the device.
///
/// # Safety
///
/// As [`NET_SDK_ApiInterface`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn NET_SDK_TransparentConfig(
    user: i64,
    document: *mut c_char,
    path: *mut c_char,
    answer: *mut u8,
    room: u32,
    written: *mut u32,
) -> u8 {
    let call = InCall::of_user("TransparentConfig", user);
    // SAFETY: the caller vouches for the same.
    unsafe { pass_on(call, document, path, (answer, room), written) }
}

/// Answers a document with the file of its path, padded with NULs as recorders do.
///
/// # Safety
///
/// As [`NET_SDK_ApiInterface`].
unsafe fn pass_on(
    (call, failure): (InCall, Option<u32>),
    document: *mut c_char,
    path: *mut c_char,
    (answer, room): (*mut u8, u32),
    written: *mut u32,
) -> u8 {
    if failure.is_some() {
        return FALSE;
    }
    if document.is_null() || path.is_null() || answer.is_null() || written.is_null() || room == 0 {
        call.trace("VIOLATION null pointer or no room");
        set_last_error(BAD_ARGUMENT);
        return FALSE;
    }
    // SAFETY: the caller vouches for the texts.
    let (document, path) = unsafe { (text(document), text(path)) };
    call.trace(&path);
    if !document.contains("<request") || !document.contains("<token>null</token>") {
        call.trace("VIOLATION not the envelope of the pages");
    }
    let known = |folder: String| {
        let is_name = path.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_name.then(|| std::fs::read(Path::new(&folder).join(&path)).ok())?
    };
    let unknown = || {
        let text = "<response version=\"1.0\"><status>fail</status><errorCode>536870934</errorCode></response>";
        text.as_bytes().to_vec()
    };
    let mut bytes = setting("DOCUMENTS").and_then(known).unwrap_or_else(unknown);
    bytes.extend_from_slice(&[0; 3]);
    if bytes.len() > usize::try_from(room).unwrap_or(usize::MAX) {
        set_last_error(NO_ROOM);
        return FALSE;
    }
    // SAFETY: the caller vouches for the room.
    unsafe {
        ptr::copy_nonoverlapping(bytes.as_ptr(), answer, bytes.len());
        written.write_unaligned(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    }
    TRUE
}
