//! One device's session: requests in, answers out.

use std::thread;
use std::time::Duration;

use tvtfleet_proto::device::sdkpipe::{Answer, CallFailure, Login, Reason, Request};

use crate::ffi::{CallError, Sdk, UserId};
use crate::guarded::Guarded;
use crate::layout::{self, CHANNEL_STRIDE, DEVICE_ROOM};

/// Room for camera records, in bytes: whole records of either length, and more than 256 of them.
const CAMERAS_ROOM: usize = 16 * 8280;
/// Channel records for which there is room.
const CHANNELS_MAX: usize = 512;
/// How long a recorder needs after a login before it knows its channels.
const READY: Duration = Duration::from_millis(1500);
/// Numbers that say so.
const NOT_READY: [u32; 2] = [97, 99];

/// A device and the library.
#[derive(Debug)]
pub(crate) struct Session {
    sdk: Sdk,
    build: u32,
    user: Option<UserId>,
}

impl Session {
    pub(crate) fn new(sdk: Sdk) -> Self {
        let build = sdk.build();
        Self {
            sdk,
            build,
            user: None,
        }
    }

    /// Carries out a request. May never return; the agent sees to that.
    pub(crate) fn answer(&mut self, request: Request) -> Answer {
        let done = match request {
            Request::Login(login) => self.login(&login),
            Request::DeviceInfo => self.device_info(),
            Request::Cameras => self.cameras(),
            Request::Channels => self.channels(),
            Request::Quit => {
                if let Some(user) = self.user.take() {
                    self.sdk.logout(user);
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

fn device(function: &str, record: &Guarded) -> Result<Answer, CallFailure> {
    whole(function, record).map(|bytes| Answer::Device(layout::device(bytes)))
}

fn whole<'a>(function: &str, buffer: &'a Guarded) -> Result<&'a [u8], CallFailure> {
    let text = || Reason::Layout("the library wrote behind the end of the buffer".to_owned());
    buffer.written().ok_or_else(|| failure(function, text()))
}

fn failed(function: &str, error: CallError) -> CallFailure {
    let reason = match error {
        CallError::Number(number) => Reason::Number(number),
        CallError::Unsaid => Reason::Unsaid,
        CallError::Missing => Reason::Missing,
        CallError::Argument => Reason::Argument,
    };
    failure(function, reason)
}

fn failure(function: &str, reason: Reason) -> CallFailure {
    CallFailure {
        function: function.to_owned(),
        reason,
    }
}
