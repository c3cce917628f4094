//! The functions of the vendor's library, with the types of its header.
//!
//! Wire source: vendor header DVR_NET_SDK.h 1.2.1.036, Linux. `BOOL` is one byte and true when not
//! zero; `LONG` is eight bytes; sizes of buffers are in bytes; all functions have C linkage and all
//! arguments are passed. The caller makes one call at a time, from one thread.

use std::ffi::{CString, c_char};
use std::ptr;

use libloading::os::unix::Library;
use tvtfleet_proto::device::sdkpipe::{NatKind, NatRoute, Tunnel};
use tvtfleet_proto::model::secret::Secret;
use zeroize::Zeroizing;

use crate::guarded::Guarded;

type Nullary = unsafe extern "C" fn() -> u8;
type Number = unsafe extern "C" fn() -> u32;
type SetConnectTime = unsafe extern "C" fn(u32, u32) -> u8;
type SetReconnect = unsafe extern "C" fn(u32, u8) -> u8;
type Login = unsafe extern "C" fn(*mut c_char, u16, *mut c_char, *mut c_char, *mut u8) -> i64;
type Logout = unsafe extern "C" fn(i64) -> u8;
type Record = unsafe extern "C" fn(i64, *mut u8) -> u8;
type Records = unsafe extern "C" fn(i64, *mut u8, i64, *mut i64) -> u8;

type OfUser = unsafe extern "C" fn(i64) -> u8;
type Find = unsafe extern "C" fn(i64) -> i64;
type Counted = unsafe extern "C" fn(i64, *mut u8, i64) -> i64;
type Picture = unsafe extern "C" fn(i64, i64, *mut u8, u32, *mut u32) -> u8;
type PictureFile = unsafe extern "C" fn(i64, i64, *mut c_char) -> u8;
type RtspUrl = unsafe extern "C" fn(i64, i64, i64, *mut u8) -> u8;
type Document = unsafe extern "C" fn(i64, *mut c_char, *mut c_char, *mut u8, u32, *mut u32) -> u8;
type Discover = unsafe extern "C" fn(*mut u8, i32, i32) -> i32;
type SetNat = unsafe extern "C" fn(*mut c_char, u16) -> u8;
type LoginEx = unsafe extern "C" fn(
    *mut c_char,
    u16,
    *mut c_char,
    *mut c_char,
    *mut u8,
    i32,
    *const c_char,
) -> i64;

/// Functions without which nothing works.
pub(crate) const REQUIRED: [&str; 11] = [
    "NET_SDK_Init",
    "NET_SDK_Cleanup",
    "NET_SDK_SetConnectTime",
    "NET_SDK_SetReconnect",
    "NET_SDK_GetSDKBuildVersion",
    "NET_SDK_GetSDKVersion",
    "NET_SDK_GetLastError",
    "NET_SDK_Login",
    "NET_SDK_Logout",
    "NET_SDK_GetDeviceInfo",
    "NET_SDK_GetDeviceIPCInfo",
];
/// Functions that a scan can do without.
pub(crate) const OPTIONAL: [&str; 15] = [
    "NET_SDK_GetDeviceCHStatus",
    "NET_SDK_GetDeviceTime",
    "NET_SDK_FindDisk",
    "NET_SDK_GetNextDiskInfo",
    "NET_SDK_FindDiskClose",
    "NET_SDK_GetRecordStatusEx",
    "NET_SDK_GetRtspUrl",
    "NET_SDK_RebootDVR",
    "NET_SDK_CaptureJPEGData_V2",
    "NET_SDK_CaptureJPEGFile_V2",
    "NET_SDK_ApiInterface",
    "NET_SDK_TransparentConfig",
    "NET_SDK_DiscoverDevice",
    "NET_SDK_SetNat2Addr",
    "NET_SDK_LoginEx",
];

/// How `NET_SDK_LoginEx` reaches a device by its serial number.
const NAT_1: i32 = 1;
const NAT_2: i32 = 2;

/// The two functions that pass documents on to the recorder's web interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// `NET_SDK_ApiInterface`.
    Api,
    /// `NET_SDK_TransparentConfig`.
    Transparent,
}

/// How a call ended that did not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The library's number.
    Number(u32),
    /// The library said no reason.
    Unsaid,
    /// This build lacks the function.
    Missing,
    /// An argument holds a NUL.
    Argument,
}

/// The library, loaded for good.
#[derive(Debug)]
pub(crate) struct Sdk {
    init: Nullary,
    connect_time: SetConnectTime,
    reconnect: SetReconnect,
    build: Number,
    version: Number,
    last_error: Number,
    login: Login,
    logout: Logout,
    device_info: Record,
    ipc_info: Records,
    channel_status: Option<Records>,
    device_time: Option<Record>,
    disks: Option<Disks>,
    recording: Option<Counted>,
    rtsp_url: Option<RtspUrl>,
    reboot: Option<OfUser>,
    picture: Option<Picture>,
    picture_file: Option<PictureFile>,
    api: Option<Document>,
    transparent: Option<Document>,
    discover: Option<Discover>,
    set_nat: Option<SetNat>,
    login_ex: Option<LoginEx>,
    cleanup: Nullary,
}

/// The three functions that list disks; one without the others is of no use.
#[derive(Clone, Copy, Debug)]
struct Disks {
    find: Find,
    next: Record,
    close: OfUser,
}

/// A list of disks that is being read. It is closed before the next call of another kind.
#[derive(Debug)]
pub(crate) struct DiskList {
    functions: Disks,
    handle: i64,
}

/// A session of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UserId(i64);

impl Sdk {
    /// Finds the functions. The library must never be closed after this.
    ///
    /// # Errors
    ///
    /// The names of required functions that it lacks.
    pub(crate) fn new(library: &Library) -> Result<Self, Vec<String>> {
        let missing: Vec<String> = REQUIRED
            .into_iter()
            .filter(|name| !has(library, name))
            .map(str::to_owned)
            .collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let lost = |name: &str| vec![name.to_owned()];
        // SAFETY: every type is the one of the vendor's header for the name beside it, and the
        // library stays loaded for the life of the process.
        unsafe {
            Ok(Self {
                init: find(library, "NET_SDK_Init").ok_or_else(|| lost("NET_SDK_Init"))?,
                connect_time: find(library, "NET_SDK_SetConnectTime")
                    .ok_or_else(|| lost("NET_SDK_SetConnectTime"))?,
                reconnect: find(library, "NET_SDK_SetReconnect")
                    .ok_or_else(|| lost("NET_SDK_SetReconnect"))?,
                build: find(library, "NET_SDK_GetSDKBuildVersion")
                    .ok_or_else(|| lost("NET_SDK_GetSDKBuildVersion"))?,
                version: find(library, "NET_SDK_GetSDKVersion")
                    .ok_or_else(|| lost("NET_SDK_GetSDKVersion"))?,
                last_error: find(library, "NET_SDK_GetLastError")
                    .ok_or_else(|| lost("NET_SDK_GetLastError"))?,
                login: find(library, "NET_SDK_Login").ok_or_else(|| lost("NET_SDK_Login"))?,
                logout: find(library, "NET_SDK_Logout").ok_or_else(|| lost("NET_SDK_Logout"))?,
                device_info: find(library, "NET_SDK_GetDeviceInfo")
                    .ok_or_else(|| lost("NET_SDK_GetDeviceInfo"))?,
                ipc_info: find(library, "NET_SDK_GetDeviceIPCInfo")
                    .ok_or_else(|| lost("NET_SDK_GetDeviceIPCInfo"))?,
                channel_status: find(library, "NET_SDK_GetDeviceCHStatus"),
                device_time: find(library, "NET_SDK_GetDeviceTime"),
                disks: disks(library),
                recording: find(library, "NET_SDK_GetRecordStatusEx"),
                rtsp_url: find(library, "NET_SDK_GetRtspUrl"),
                reboot: find(library, "NET_SDK_RebootDVR"),
                picture: find(library, "NET_SDK_CaptureJPEGData_V2"),
                picture_file: find(library, "NET_SDK_CaptureJPEGFile_V2"),
                api: find(library, "NET_SDK_ApiInterface"),
                transparent: find(library, "NET_SDK_TransparentConfig"),
                discover: find(library, "NET_SDK_DiscoverDevice"),
                set_nat: find(library, "NET_SDK_SetNat2Addr"),
                login_ex: find(library, "NET_SDK_LoginEx"),
                cleanup: find(library, "NET_SDK_Cleanup").ok_or_else(|| lost("NET_SDK_Cleanup"))?,
            })
        }
    }

    /// Starts the library. Called once per process.
    pub(crate) fn start(&self) -> bool {
        // SAFETY: the function takes nothing and has not been called before.
        unsafe { (self.init)() != 0 }
    }

    /// The build number, as 60222 for 2023-02-22.
    pub(crate) fn build(&self) -> u32 {
        // SAFETY: the function takes nothing and returns a number.
        unsafe { (self.build)() }
    }

    /// The version word; opaque.
    pub(crate) fn version(&self) -> u32 {
        // SAFETY: the function takes nothing and returns a number.
        unsafe { (self.version)() }
    }

    /// Sets the time for one connection in milliseconds; one try, and none by itself later.
    pub(crate) fn set_patience(&self, connect_ms: u32) {
        // SAFETY: both functions take plain numbers. What they return is advice.
        unsafe {
            (self.connect_time)(connect_ms.clamp(301, 60_000), 1);
            (self.reconnect)(5000, 0);
        }
    }

    /// Logs in and fills `record` with the device's record.
    pub(crate) fn login(
        &self,
        host: &str,
        port: u16,
        user: &str,
        password: &Secret,
        record: &mut Guarded,
    ) -> Result<UserId, CallError> {
        let mut host = text(host)?;
        let mut user = text(user)?;
        let mut password = text(password.expose())?;
        // SAFETY: the texts end with NUL and are our own copies, live until the call returns; the
        // record has more room than the largest known layout.
        let id = unsafe {
            (self.login)(
                host.as_mut_ptr().cast(),
                port,
                user.as_mut_ptr().cast(),
                password.as_mut_ptr().cast(),
                record.start(),
            )
        };
        if id < 0 {
            Err(self.reason())
        } else {
            Ok(UserId(id))
        }
    }

    /// Logs in by the device's serial number and fills `record` with the device's record.
    pub(crate) fn login_nat(
        &self,
        nat: &NatRoute,
        user: &str,
        password: &Secret,
        record: &mut Guarded,
    ) -> Result<UserId, CallError> {
        let login = self.login_ex.ok_or(CallError::Missing)?;
        let mut server = text(&nat.server)?;
        let mut user = text(user)?;
        let mut password = text(password.expose())?;
        let serial = text(&nat.serial)?;
        let kind = match nat.kind {
            NatKind::Nat => NAT_1,
            NatKind::Nat20 => NAT_2,
        };
        // SAFETY: the texts end with NUL and are our own copies, live until the call returns; the
        // record has more room than the largest known layout.
        let id = unsafe {
            login(
                server.as_mut_ptr().cast(),
                nat.port,
                user.as_mut_ptr().cast(),
                password.as_mut_ptr().cast(),
                record.start(),
                kind,
                serial.as_ptr().cast(),
            )
        };
        if id < 0 {
            Err(self.reason())
        } else {
            Ok(UserId(id))
        }
    }

    /// Names the server of logins by serial number of the second generation; once in a process.
    pub(crate) fn set_nat(&self, nat: &NatRoute) -> Result<(), CallError> {
        let call = self.set_nat.ok_or(CallError::Missing)?;
        let mut server = text(&nat.server)?;
        // SAFETY: the text ends with NUL and is our own copy, live until the call returns.
        let done = unsafe { call(server.as_mut_ptr().cast(), nat.port) };
        self.check(done)
    }

    /// Ends all that the library does. It may hang or crash in here after a login by serial number.
    pub(crate) fn clean_up(&self) {
        // SAFETY: the library was started; nothing of it is called after this.
        unsafe { (self.cleanup)() };
    }

    /// Looks for devices for so many seconds and fills `rows` with `elements` records at most; says how
    /// many the library claims to have written.
    pub(crate) fn discover(
        &self,
        rows: &mut Guarded,
        elements: u16,
        seconds: u8,
    ) -> Result<i32, CallError> {
        let call = self.discover.ok_or(CallError::Missing)?;
        // SAFETY: the buffer has room for that many records of more than the largest known layout.
        Ok(unsafe { call(rows.start(), i32::from(elements), i32::from(seconds)) })
    }

    /// Passes a document on to the recorder's web interface and fills `answer`; says how many bytes the
    /// library claims to have written.
    pub(crate) fn document(
        &self,
        passage: Passage,
        user: UserId,
        tunnel: &Tunnel,
        answer: &mut Guarded,
    ) -> Result<u32, CallError> {
        let call = match passage {
            Passage::Api => self.api,
            Passage::Transparent => self.transparent,
        };
        let call = call.ok_or(CallError::Missing)?;
        let mut body = text(&tunnel.body)?;
        let mut path = text(&tunnel.path)?;
        let room = u32::try_from(answer.room()).map_err(|_| CallError::Argument)?;
        let mut count = 0_u32;
        // SAFETY: the id is of a live session, the texts end with NUL and are our own copies, `room` is
        // the size of the buffer in bytes, and the count is four bytes, as the header has it.
        let done = unsafe {
            call(
                user.0,
                body.as_mut_ptr().cast(),
                path.as_mut_ptr().cast(),
                answer.start(),
                room,
                ptr::from_mut(&mut count),
            )
        };
        self.check(done)?;
        Ok(count)
    }

    /// Ends a session.
    pub(crate) fn logout(&self, user: UserId) {
        // SAFETY: the id is of a login that worked; it is not used after this.
        unsafe { (self.logout)(user.0) };
    }

    /// Fills `record` with the device's record.
    pub(crate) fn device_info(&self, user: UserId, record: &mut Guarded) -> Result<(), CallError> {
        // SAFETY: the id is of a live session; the record has more room than the largest layout.
        let done = unsafe { (self.device_info)(user.0, record.start()) };
        self.check(done)
    }

    /// Fills `rows` with camera records; says how many the library claims to have written.
    pub(crate) fn cameras(&self, user: UserId, rows: &mut Guarded) -> Result<i64, CallError> {
        self.records(self.ipc_info, user, rows)
    }

    /// Fills `rows` with channel records; says how many the library claims to have written.
    pub(crate) fn channels(&self, user: UserId, rows: &mut Guarded) -> Result<i64, CallError> {
        let call = self.channel_status.ok_or(CallError::Missing)?;
        self.records(call, user, rows)
    }

    /// Fills `record` with the device's wall clock.
    pub(crate) fn clock(&self, user: UserId, record: &mut Guarded) -> Result<(), CallError> {
        let call = self.device_time.ok_or(CallError::Missing)?;
        // SAFETY: the id is of a live session; the record has more room than the layout.
        let done = unsafe { call(user.0, record.start()) };
        self.check(done)
    }

    /// Begins a list of disks.
    pub(crate) fn find_disks(&self, user: UserId) -> Result<DiskList, CallError> {
        let functions = self.disks.ok_or(CallError::Missing)?;
        // SAFETY: the id is of a live session.
        let handle = unsafe { (functions.find)(user.0) };
        if handle == -1 {
            return Err(self.reason());
        }
        Ok(DiskList { functions, handle })
    }

    /// Fills `rows` with recording records of `stride` bytes; says how many the library claims.
    pub(crate) fn recordings(
        &self,
        user: UserId,
        rows: &mut Guarded,
        stride: usize,
    ) -> Result<i64, CallError> {
        let call = self.recording.ok_or(CallError::Missing)?;
        let elements = rows.room().checked_div(stride).unwrap_or_default();
        let elements = i64::try_from(elements).map_err(|_| CallError::Argument)?;
        // SAFETY: the id is of a live session; the buffer has room for that many records.
        let count = unsafe { call(user.0, rows.start(), elements) };
        if count < 0 {
            return Err(self.reason());
        }
        Ok(count)
    }

    /// Fills `line` with the address of a stream.
    pub(crate) fn rtsp_url(
        &self,
        user: UserId,
        channel: u16,
        stream: u8,
        line: &mut Guarded,
    ) -> Result<(), CallError> {
        let call = self.rtsp_url.ok_or(CallError::Missing)?;
        // SAFETY: the id is of a live session; the function takes no size, and the buffer is many
        // times the longest address, with a guard behind it.
        let done = unsafe { call(user.0, i64::from(channel), i64::from(stream), line.start()) };
        self.check(done)
    }

    /// Fills `picture` with a still; says how many bytes the library claims to have written.
    pub(crate) fn picture(
        &self,
        user: UserId,
        channel: u16,
        picture: &mut Guarded,
    ) -> Result<u32, CallError> {
        let call = self.picture.ok_or(CallError::Missing)?;
        let room = u32::try_from(picture.room()).map_err(|_| CallError::Argument)?;
        let mut count = 0_u32;
        // SAFETY: the id is of a live session, `room` is the size of the buffer in bytes, and the
        // count is four bytes, as the header has it.
        let done = unsafe {
            let count = ptr::from_mut(&mut count);
            call(user.0, i64::from(channel), picture.start(), room, count)
        };
        self.check(done)?;
        Ok(count)
    }

    /// Lets the library write a still into a file.
    pub(crate) fn picture_file(
        &self,
        user: UserId,
        channel: u16,
        path: &str,
    ) -> Result<(), CallError> {
        let call = self.picture_file.ok_or(CallError::Missing)?;
        let mut path = text(path)?;
        // SAFETY: the id is of a live session; the path ends with NUL and lives until the call returns.
        let done = unsafe { call(user.0, i64::from(channel), path.as_mut_ptr().cast()) };
        self.check(done)
    }

    /// Starts the device again.
    pub(crate) fn reboot(&self, user: UserId) -> Result<(), CallError> {
        let call = self.reboot.ok_or(CallError::Missing)?;
        // SAFETY: the id is of a live session.
        let done = unsafe { call(user.0) };
        self.check(done)
    }

    fn records(&self, call: Records, user: UserId, rows: &mut Guarded) -> Result<i64, CallError> {
        let mut count = 0_i64;
        let room = i64::try_from(rows.room()).map_err(|_| CallError::Argument)?;
        // SAFETY: the id is of a live session, `room` is the size of the buffer in bytes, and the
        // count is eight bytes, as the header has it.
        let done = unsafe { call(user.0, rows.start(), room, ptr::from_mut(&mut count)) };
        self.check(done)?;
        Ok(count)
    }

    fn check(&self, done: u8) -> Result<(), CallError> {
        if done == 0 {
            Err(self.reason())
        } else {
            Ok(())
        }
    }

    /// The library's reason for the failure of the call just made on this thread.
    fn reason(&self) -> CallError {
        // SAFETY: the function takes nothing and returns a number.
        match unsafe { (self.last_error)() } {
            0 => CallError::Unsaid,
            number => CallError::Number(number),
        }
    }
}

impl DiskList {
    /// Fills `record` with the next disk; `false` at the end.
    pub(crate) fn next(&self, record: &mut Guarded) -> bool {
        // SAFETY: the handle is open; the record has more room than the layout.
        unsafe { (self.functions.next)(self.handle, record.start()) != 0 }
    }
}

impl Drop for DiskList {
    fn drop(&mut self) {
        // SAFETY: the handle is open and is not used after this.
        unsafe { (self.functions.close)(self.handle) };
    }
}

fn disks(library: &Library) -> Option<Disks> {
    // SAFETY: every type is the one of the vendor's header for the name beside it.
    unsafe {
        Some(Disks {
            find: find(library, "NET_SDK_FindDisk")?,
            next: find(library, "NET_SDK_GetNextDiskInfo")?,
            close: find(library, "NET_SDK_FindDiskClose")?,
        })
    }
}

/// Whether a function exists.
pub(crate) fn has(library: &Library, name: &str) -> bool {
    // SAFETY: the address is looked up and not used.
    unsafe { library.get::<Nullary>(name.as_bytes()) }.is_ok()
}

/// The address of a function.
///
/// # Safety
///
/// `F` is the type of the function of this name, and the library stays loaded.
unsafe fn find<F: Copy>(library: &Library, name: &str) -> Option<F> {
    // SAFETY: the caller vouches for the type.
    let symbol = unsafe { library.get::<F>(name.as_bytes()) };
    symbol.ok().map(|symbol| *symbol)
}

/// A copy that the library may scribble on, overwritten afterwards.
fn text(text: &str) -> Result<Zeroizing<Vec<u8>>, CallError> {
    let text = CString::new(text).map_err(|_| CallError::Argument)?;
    Ok(Zeroizing::new(text.into_bytes_with_nul()))
}
