//! One device's session: requests in, answers out.

use std::thread;
use std::time::Duration;

use tvtfleet_proto::device::sdkpipe::{
    Answer, CallFailure, Login, NatKind, NatRoute, Reason, Request, Search, StreamChoice, plain_url,
};

use crate::ffi::{CallError, Sdk, UserId};
use crate::guarded::Guarded;
use crate::layout::{
    self, CHANNEL_STRIDE, CLOCK_ROOM, DEVICE_ROOM, DISK_ROOM, FIRST_132, RECORDING_STRIDE, URL_ROOM,
};
use crate::{found, still, tunnel};

/// Room for camera records, in bytes: whole records of either length, and more than 256 of them.
const CAMERAS_ROOM: usize = 16 * 8280;
/// Channel records for which there is room.
const CHANNELS_MAX: usize = 512;
/// How long a recorder needs after a login before it knows its channels.
const READY: Duration = Duration::from_millis(1500);
/// Numbers that say so.
const NOT_READY: [u32; 2] = [97, 99];
/// How often a clock is asked for: the library has none before the first picture has come.
const CLOCK_TRIES: u32 = 10;
/// Between two of these.
const CLOCK_PAUSE: Duration = Duration::from_millis(500);
/// Disks for which there is room; no recorder has half as many.
const DISKS_MAX: usize = 64;
/// Devices that one search may find, and room for the record of each, in bytes.
const FOUND_MAX: u16 = 512;
const FOUND_ROOM: usize = 256;
/// The longest search, in seconds.
const SEARCH_MAX: u8 = 60;
/// The number for a recorder without a disk.
const NO_DISK: u32 = 22;

/// A device and the library.
#[derive(Debug)]
pub(crate) struct Session {
    sdk: Sdk,
    build: u32,
    user: Option<UserId>,
    /// Whether a login by serial number was tried: the library must be ended properly then.
    is_nat: bool,
}

impl Session {
    pub(crate) fn new(sdk: Sdk) -> Self {
        let build = sdk.build();
        Self {
            sdk,
            build,
            user: None,
            is_nat: false,
        }
    }

    /// Carries out a request. May never return; the agent sees to that.
    pub(crate) fn answer(&mut self, request: Request) -> Answer {
        let done = match request {
            Request::Login(login) => self.login(&login),
            Request::DeviceInfo => self.device_info(),
            Request::Cameras => self.cameras(),
            Request::Channels => self.channels(),
            Request::Clock => self.clock(),
            Request::Disks => self.disks(),
            Request::Recording => self.recordings(),
            Request::RtspUrl(choice) => self.rtsp_url(choice),
            Request::Picture(channel) => self.picture(channel),
            Request::Tunnel(document) => self.tunnel(&document),
            Request::Search(search) => self.search(search),
            Request::Reboot => self.reboot(),
            Request::Quit => {
                if let Some(user) = self.user.take() {
                    self.sdk.logout(user);
                }
                if self.is_nat {
                    // Else the library crashes when the process ends.
                    self.sdk.clean_up();
                }
                Ok(Answer::Done)
            }
        };
        done.unwrap_or_else(Answer::Failed)
    }

    fn login(&mut self, login: &Login) -> Result<Answer, CallFailure> {
        const FUNCTION: &str = "NET_SDK_Login";
        if self.user.is_some() {
            return Err(failure(FUNCTION, Reason::Order));
        }
        self.sdk.set_patience(login.connect_ms);
        let mut record = Guarded::zeroed(DEVICE_ROOM);
        if let Some(nat) = &login.nat {
            self.login_nat(nat, login, &mut record)?;
            return device("NET_SDK_LoginEx", &record);
        }
        let user = self
            .sdk
            .login(
                &login.host,
                login.port,
                &login.username,
                &login.password,
                &mut record,
            )
            .map_err(|error| failed(FUNCTION, error))?;
        self.user = Some(user);
        device(FUNCTION, &record)
    }

    fn login_nat(
        &mut self,
        nat: &NatRoute,
        login: &Login,
        record: &mut Guarded,
    ) -> Result<(), CallFailure> {
        // One server in the life of a process: the helper has one device, and one login.
        if std::mem::replace(&mut self.is_nat, true) {
            return Err(failure("NET_SDK_LoginEx", Reason::Order));
        }
        if nat.kind == NatKind::Nat20 {
            let set = self.sdk.set_nat(nat);
            set.map_err(|error| failed("NET_SDK_SetNat2Addr", error))?;
        }
        let user = self
            .sdk
            .login_nat(nat, &login.username, &login.password, record);
        self.user = Some(user.map_err(|error| failed("NET_SDK_LoginEx", error))?);
        Ok(())
    }

    fn tunnel(&self, document: &tunnel::Document) -> Result<Answer, CallFailure> {
        tunnel::send(&self.sdk, self.user("NET_SDK_ApiInterface")?, document)
    }

    fn search(&self, search: Search) -> Result<Answer, CallFailure> {
        const FUNCTION: &str = "NET_SDK_DiscoverDevice";
        let room = usize::from(FOUND_MAX).saturating_mul(FOUND_ROOM);
        let mut rows = Guarded::filled(room);
        let seconds = search.seconds.clamp(1, SEARCH_MAX);
        let count = self.sdk.discover(&mut rows, FOUND_MAX, seconds);
        // A count of 0 is nobody, or a failure that the library does not tell apart.
        let count = count.map_err(|error| failed(FUNCTION, error))?;
        let rows = found::devices(whole(FUNCTION, &rows)?, i64::from(count), self.build);
        rows.map(Answer::Found)
            .map_err(|mismatch| failure(FUNCTION, Reason::Layout(mismatch.0)))
    }

    fn device_info(&self) -> Result<Answer, CallFailure> {
        const FUNCTION: &str = "NET_SDK_GetDeviceInfo";
        let user = self.user(FUNCTION)?;
        let mut record = Guarded::zeroed(DEVICE_ROOM);
        self.sdk
            .device_info(user, &mut record)
            .map_err(|error| failed(FUNCTION, error))?;
        device(FUNCTION, &record)
    }

    fn cameras(&self) -> Result<Answer, CallFailure> {
        const FUNCTION: &str = "NET_SDK_GetDeviceIPCInfo";
        let user = self.user(FUNCTION)?;
        let read = || {
            let mut rows = Guarded::filled(CAMERAS_ROOM);
            let count = self.sdk.cameras(user, &mut rows);
            let count = count.map_err(|error| failed(FUNCTION, error))?;
            let bytes = whole(FUNCTION, &rows)?;
            let rows = layout::cameras(bytes, count, self.build);
            rows.map_err(|mismatch| failure(FUNCTION, Reason::Layout(mismatch.0)))
        };
        let mut rows = read();
        if is_early(&rows) {
            thread::sleep(READY);
            rows = read();
        }
        rows.map(Answer::Cameras)
    }

    fn channels(&self) -> Result<Answer, CallFailure> {
        const FUNCTION: &str = "NET_SDK_GetDeviceCHStatus";
        let user = self.user(FUNCTION)?;
        let mut rows = Guarded::filled(CHANNELS_MAX.saturating_mul(CHANNEL_STRIDE));
        let count = self.sdk.channels(user, &mut rows);
        let count = count.map_err(|error| failed(FUNCTION, error))?;
        let rows = layout::channels(whole(FUNCTION, &rows)?, count);
        rows.map(Answer::Channels)
            .map_err(|mismatch| failure(FUNCTION, Reason::Layout(mismatch.0)))
    }

    fn clock(&self) -> Result<Answer, CallFailure> {
        const FUNCTION: &str = "NET_SDK_GetDeviceTime";
        let user = self.user(FUNCTION)?;
        let read = || {
            let mut record = Guarded::zeroed(CLOCK_ROOM);
            let done = self.sdk.clock(user, &mut record);
            done.map_err(|error| failed(FUNCTION, error))?;
            whole(FUNCTION, &record).map(|bytes| Answer::Clock(layout::clock(bytes)))
        };
        let mut found = read();
        for _ in 1..CLOCK_TRIES {
            if !found.as_ref().is_err_and(may_pass) {
                break;
            }
            thread::sleep(CLOCK_PAUSE);
            found = read();
        }
        found
    }

    fn disks(&self) -> Result<Answer, CallFailure> {
        const FUNCTION: &str = "NET_SDK_FindDisk";
        let list = match self.sdk.find_disks(self.user(FUNCTION)?) {
            Ok(list) => list,
            Err(CallError::Number(NO_DISK)) => return Ok(Answer::Disks(Vec::new())),
            Err(error) => return Err(failed(FUNCTION, error)),
        };
        let mut found = Vec::new();
        while found.len() < DISKS_MAX {
            let mut record = Guarded::zeroed(DISK_ROOM);
            if !list.next(&mut record) {
                break;
            }
            found.push(layout::disk(whole("NET_SDK_GetNextDiskInfo", &record)?));
        }
        Ok(Answer::Disks(found))
    }

    fn recordings(&self) -> Result<Answer, CallFailure> {
        const FUNCTION: &str = "NET_SDK_GetRecordStatusEx";
        let user = self.user(FUNCTION)?;
        if self.build < FIRST_132 {
            return Err(failure(FUNCTION, Reason::Missing));
        }
        let mut rows = Guarded::filled(CHANNELS_MAX.saturating_mul(RECORDING_STRIDE));
        let count = self.sdk.recordings(user, &mut rows, RECORDING_STRIDE);
        let count = count.map_err(|error| failed(FUNCTION, error))?;
        let rows = layout::recordings(whole(FUNCTION, &rows)?, count);
        rows.map(Answer::Recording)
            .map_err(|mismatch| failure(FUNCTION, Reason::Layout(mismatch.0)))
    }

    fn rtsp_url(&self, choice: StreamChoice) -> Result<Answer, CallFailure> {
        const FUNCTION: &str = "NET_SDK_GetRtspUrl";
        let user = self.user(FUNCTION)?;
        let mut line = Guarded::zeroed(URL_ROOM);
        self.sdk
            .rtsp_url(user, choice.channel, choice.stream, &mut line)
            .map_err(|error| failed(FUNCTION, error))?;
        // What it said instead may hold a password and is not told.
        let url = plain_url(&layout::line(whole(FUNCTION, &line)?));
        Ok(Answer::RtspUrl(url))
    }

    fn picture(&self, channel: u16) -> Result<Answer, CallFailure> {
        still::take(&self.sdk, self.user("NET_SDK_CaptureJPEGData_V2")?, channel)
    }

    fn reboot(&self) -> Result<Answer, CallFailure> {
        const FUNCTION: &str = "NET_SDK_RebootDVR";
        let done = self.sdk.reboot(self.user(FUNCTION)?);
        done.map(|()| Answer::Done)
            .map_err(|error| failed(FUNCTION, error))
    }

    fn user(&self, function: &str) -> Result<UserId, CallFailure> {
        self.user.ok_or_else(|| failure(function, Reason::Order))
    }
}

/// Whether the recorder may only not have been ready.
fn is_early<T>(rows: &Result<Vec<T>, CallFailure>) -> bool {
    match rows {
        Ok(rows) => rows.is_empty(),
        Err(failure) => {
            matches!(failure.reason, Reason::Number(number) if NOT_READY.contains(&number))
        }
    }
}

/// Whether the library may only not have heard of the time yet.
fn may_pass(failure: &CallFailure) -> bool {
    match failure.reason {
        Reason::Unsaid => true,
        Reason::Number(number) => NOT_READY.contains(&number),
        Reason::Layout(_) | Reason::Missing | Reason::Order | Reason::Argument => false,
    }
}

fn device(function: &str, record: &Guarded) -> Result<Answer, CallFailure> {
    whole(function, record).map(|bytes| Answer::Device(layout::device(bytes)))
}

pub(crate) fn whole<'a>(function: &str, buffer: &'a Guarded) -> Result<&'a [u8], CallFailure> {
    let text = || Reason::Layout("the library wrote behind the end of the buffer".to_owned());
    buffer.written().ok_or_else(|| failure(function, text()))
}

pub(crate) fn failed(function: &str, error: CallError) -> CallFailure {
    let reason = match error {
        CallError::Number(number) => Reason::Number(number),
        CallError::Unsaid => Reason::Unsaid,
        CallError::Missing => Reason::Missing,
        CallError::Argument => Reason::Argument,
    };
    failure(function, reason)
}

pub(crate) fn failure(function: &str, reason: Reason) -> CallFailure {
    CallFailure {
        function: function.to_owned(),
        reason,
    }
}
