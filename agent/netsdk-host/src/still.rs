//! Pictures: by the call that fills a buffer, else by the one that writes a file.
//!
//! Some firmware knows only one of the two. The file is one in memory, so that a helper that is killed
//! leaves no picture behind. UNCERTAIN: whether every build of the library writes to a name under
//! `/proc`; a build that says `CREATEFILE_ERROR` for it would settle that.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};

use tvtfleet_proto::device::sdkpipe::{Answer, CallFailure, PICTURE_MAX, PictureBytes, Reason};

use crate::ffi::{Sdk, UserId};
use crate::guarded::Guarded;
use crate::session::{failed, failure, whole};

const DATA: &str = "NET_SDK_CaptureJPEGData_V2";
const FILE: &str = "NET_SDK_CaptureJPEGFile_V2";
/// Numbers that are about the channel, the session or the line: the other call has no better answer.
const FINAL: [u32; 9] = [2, 4, 8, 9, 10, 11, 12, 17, 98];

/// Takes a picture of a channel.
pub(crate) fn take(sdk: &Sdk, user: UserId, channel: u16) -> Result<Answer, CallFailure> {
    let first = match by_data(sdk, user, channel) {
        Err(failure) if is_worth_another(&failure.reason) => failure,
        ended => return ended,
    };
    // A function that is not there says less than the one that failed.
    by_file(sdk, user, channel).map_err(|second| {
        if second.reason == Reason::Missing {
            first
        } else {
            second
        }
    })
}

fn is_worth_another(reason: &Reason) -> bool {
    match reason {
        Reason::Number(number) => !FINAL.contains(number),
        Reason::Unsaid | Reason::Missing => true,
        Reason::Layout(_) | Reason::Order | Reason::Argument => false,
    }
}

fn by_data(sdk: &Sdk, user: UserId, channel: u16) -> Result<Answer, CallFailure> {
    let mut picture = Guarded::zeroed(PICTURE_MAX);
    let count = sdk.picture(user, channel, &mut picture);
    let count = count.map_err(|error| failed(DATA, error))?;
    let bytes = whole(DATA, &picture)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let bytes = bytes.get(..count).ok_or_else(|| too_long(DATA))?;
    Ok(Answer::Picture(PictureBytes(bytes.to_vec())))
}

fn by_file(sdk: &Sdk, user: UserId, channel: u16) -> Result<Answer, CallFailure> {
    // `CREATEFILE_ERROR`, as the library has it for its own files.
    let local = |_: io::Error| failure(FILE, Reason::Number(37));
    let mut file = in_memory().map_err(local)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    sdk.picture_file(user, channel, &path)
        .map_err(|error| failed(FILE, error))?;
    file.rewind().map_err(local)?;
    let mut bytes = Vec::new();
    let most = u64::try_from(PICTURE_MAX).unwrap_or(u64::MAX);
    let count = file
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(local)?;
    if count > PICTURE_MAX {
        return Err(too_long(FILE));
    }
    Ok(Answer::Picture(PictureBytes(bytes)))
}

/// A file that is in no folder.
fn in_memory() -> io::Result<File> {
    // SAFETY: the name ends with NUL and is read only; the result is checked below.
    let descriptor = unsafe { libc::memfd_create(c"picture".as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and nothing else owns it.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

fn too_long(function: &str) -> CallFailure {
    let text = format!("a picture of more than {PICTURE_MAX} bytes");
    failure(function, Reason::Layout(text))
}
