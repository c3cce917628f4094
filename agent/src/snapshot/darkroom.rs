//! The process that decodes: bytes of devices meet decoders only here.
//!
//! It reads orders from its standard input and writes answers to its standard output, one at a time.
//! What a decoder may take is set before each picture: memory by the size that the picture claims, and
//! processor time. A decoder that wants more, or breaks, takes this process with it and nothing else.
//! Wall-clock time is kept by the process that gives the orders.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tvtfleet_proto::device::picture::{Jpeg, PictureError, key_frame, limits};
use tvtfleet_proto::model::report::Failure;

use super::decode::to_jpeg;
use super::exchange::{Made, ORDER_MAX, Order};
use super::still::{look, thumbnail};
use super::worker::this_program_decodes;

/// The word by which a program is asked to decode.
pub(super) const COMMAND: &str = "decode-frame";
/// How long it waits for an order before it goes.
const IDLE: Duration = Duration::from_secs(30);
/// Processor time for one picture, in seconds.
const CPU_SECONDS: u64 = 12;
/// Memory for one picture, besides what the process has and what its size asks for.
const BASE: u64 = 32 * 1024 * 1024;
/// Copies of the bytes of a picture that are held.
const COPIES: u64 = 3;
/// Memory for each pixel of 8 bits: planes, what decoders note of each block, and the picture made. At
/// most 9 bytes were measured, with H.264.
const PIXEL: u64 = 20;
/// Open files: the three pipes, and what the system may want.
const FILES: u64 = 16;

/// Decodes pictures where the arguments ask for it, and ends when nobody needs it any more; else
/// remembers that this program can be started for it. To be called first of all.
#[must_use]
pub fn decode_if_asked(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let first = arguments.into_iter().nth(1);
    // At a terminal somebody has found the word, and is told what the program's words are.
    if first.is_none_or(|first| first != COMMAND) || io::stdin().is_terminal() {
        this_program_decodes();
        return None;
    }
    Some(match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn serve() -> io::Result<()> {
    let own = own_size();
    confine();
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    while is_asked(&input)? {
        let mut length = [0; 4];
        if input.read_exact(&mut length).is_err() {
            break;
        }
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > ORDER_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; length];
        input.read_exact(&mut bytes)?;
        let (order, picture) = Order::read(&bytes).ok_or(io::ErrorKind::InvalidData)?;
        let made = make(own, order, picture);
        let answer = made.write().ok_or(io::ErrorKind::InvalidData)?;
        output.write_all(&answer)?;
    }
    Ok(())
}

/// Waits for an order. Without one it is time to go.
fn is_asked(input: &File) -> io::Result<bool> {
    let idle = Timespec {
        tv_sec: i64::try_from(IDLE.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: 0,
    };
    let mut waited = [PollFd::new(input, PollFlags::IN)];
    Ok(poll(&mut waited, Some(&idle))? > 0)
}

fn make(own: u64, order: Order, picture: &[u8]) -> Made {
    let refused = |error: PictureError| Made::Failed(Failure::new(error.code(), error.to_string()));
    let held = u64::try_from(picture.len()).unwrap_or(u64::MAX);
    let allow = |width: u64, height: u64, deep: bool| {
        let pixel = if deep { PIXEL * 2 } else { PIXEL };
        let pixels = width.saturating_mul(height).saturating_mul(pixel);
        let copies = held.saturating_mul(COPIES);
        limit(own.saturating_add(BASE + copies).saturating_add(pixels));
    };
    match order {
        Order::Develop { codec, bytes_max } => {
            let frame = match key_frame(codec, picture) {
                Ok(frame) => frame,
                Err(error) => return refused(error),
            };
            let format = &frame.format;
            allow(
                format.coded_width.into(),
                format.coded_height.into(),
                format.bit_depth > 8,
            );
            match to_jpeg(
                &frame,
                picture,
                usize::try_from(bytes_max).unwrap_or(usize::MAX),
            ) {
                Ok((jpeg, look)) => Made::Picture(jpeg, look),
                Err(error) => refused(error),
            }
        }
        Order::Look | Order::Small { .. } => {
            let jpeg = match Jpeg::check(picture) {
                Ok(jpeg) => jpeg,
                Err(error) => return refused(error),
            };
            allow(jpeg.width.into(), jpeg.height.into(), false);
            let Order::Small { width, height } = order else {
                return Made::Seen(look(&jpeg, picture));
            };
            let side = |side: u32| usize::try_from(side.min(limits::SIDE)).unwrap_or(1);
            Made::Small(thumbnail(picture, side(width), side(height)))
        }
    }
}

/// Sets what the whole process may never take. Best effort: where the system refuses, it decodes all
/// the same.
fn confine() {
    fix(Resource::Core, 0);
    fix(Resource::Fsize, 0);
    fix(Resource::Nofile, FILES);
    // When memory is short, this process is the one to end.
    let _refused = std::fs::write("/proc/self/oom_score_adj", "500");
}

/// Sets what one picture may take: so much memory, and the time of the processor.
fn limit(memory: u64) {
    let used = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| {
        let (user, system) = (usage.user_time(), usage.system_time());
        u64::try_from(user.tv_sec().saturating_add(system.tv_sec())).unwrap_or(0)
    });
    soften(Resource::As, memory);
    soften(Resource::Cpu, used.saturating_add(CPU_SECONDS));
}

fn fix(resource: Resource, most: u64) {
    let most = getrlimit(resource)
        .maximum
        .map_or(most, |hard| hard.min(most));
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    let _refused = setrlimit(resource, limit);
}

/// Sets a limit that the next picture may find higher.
fn soften(resource: Resource, most: u64) {
    let maximum = getrlimit(resource).maximum;
    let limit = Rlimit {
        current: Some(maximum.map_or(most, |hard| hard.min(most))),
        maximum,
    };
    let _refused = setrlimit(resource, limit);
}

/// The address space of this process before it has decoded anything, in bytes.
fn own_size() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    let kibibytes: u64 = number.and_then(|text| text.parse().ok()).unwrap_or(0);
    kibibytes.saturating_mul(1024)
}
