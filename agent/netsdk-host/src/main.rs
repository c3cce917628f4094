//! Runs the vendor's `libdvrnetsdk.so` for one device, in a process that may die.
//!
//! The library blocks for minutes, corrupts memory and keeps its state in globals, so it lives here and
//! not in the agent. The agent starts one of these per device, speaks frames over stdin and stdout
//! ([`tvtfleet_proto::device::sdkpipe`]) and kills it when time is up. Deadlines are the agent's: a
//! stuck library would not hear of ours.
//!
//! One thread makes all calls, one after the other, for the library does not bear two at once. The
//! other reads stdin; when that ends, the agent is gone and so is this process.

#![allow(
    unsafe_code,
    reason = "the vendor's library is C; every block says why it is sound"
)]

mod ffi;
mod found;
mod guarded;
mod layout;
mod load;
mod process;
mod session;
mod still;
mod tunnel;

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use tvtfleet_proto::device::sdkpipe::{ANSWER_MAX, FrameReader, REQUEST_MAX, Request, frame};
use zeroize::Zeroizing;

use session::Session;

/// Stack of the thread that calls the library: one of its functions has a frame of 128 KiB.
const STACK: usize = 8 * 1024 * 1024;
/// Requests that wait while one is carried out; the agent sends one at a time.
const REQUESTS_MAX: usize = 2;
/// Bytes read from the agent at a time.
const READ_BUFFER: usize = 4096;

const HELP: &str = "\
Run the vendor's device library for tvt-agent, one device per process

Usage: tvt-netsdk-host LIBRARY

LIBRARY is the path of libdvrnetsdk.so. Requests come as frames on stdin, answers go as frames to
stdout; the credential comes with them. People have no use for it: `tvtctl backends` tries it.
";

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let (first, more) = (arguments.next(), arguments.next().is_some());
    let Some(library) = first.filter(|_| !more) else {
        say(HELP, 2)
    };
    match library.to_str() {
        Some("--help" | "-h") => say(HELP, 0),
        Some("--version" | "-V") => say(
            concat!("tvt-netsdk-host ", env!("CARGO_PKG_VERSION"), "\n"),
            0,
        ),
        _ => {}
    }
    process::harden();
    let Ok(output) = process::take_stdout() else {
        process::leave(3)
    };
    let (sender, receiver) = sync_channel(REQUESTS_MAX);
    let calls = move || carry_out(Path::new(&library), &receiver, output);
    let caller = thread::Builder::new().name("sdk".into()).stack_size(STACK);
    if caller.spawn(calls).is_err() {
        process::leave(3);
    }
    listen(&sender)
}

/// Prints a text for people and ends. A closed pipe is nobody's trouble.
fn say(text: &str, code: i32) -> ! {
    let _closed = if code == 0 {
        std::io::stdout().write_all(text.as_bytes())
    } else {
        std::io::stderr().write_all(text.as_bytes())
    };
    std::process::exit(code)
}

/// Passes requests on until the agent is gone.
fn listen(requests: &SyncSender<Request>) -> ! {
    let mut reader = FrameReader::new(REQUEST_MAX);
    let mut buffer = Zeroizing::new([0_u8; READ_BUFFER]);
    let mut input = std::io::stdin();
    loop {
        match input.read(&mut *buffer) {
            Ok(0) | Err(_) => process::leave(0),
            Ok(count) => reader.push(buffer.get(..count).unwrap_or_default()),
        }
        loop {
            let payload = match reader.next_payload() {
                Ok(Some(payload)) => payload,
                Ok(None) => break,
                Err(_) => process::leave(3),
            };
            // The agent sends one request at a time, so this never waits for long.
            let passed =
                Request::decode(&payload).is_ok_and(|request| requests.send(request).is_ok());
            if !passed {
                process::leave(3);
            }
        }
    }
}

/// Loads the library, then answers requests until it is told to go.
fn carry_out(library: &Path, requests: &Receiver<Request>, mut output: File) {
    let (sdk, hello) = load::load(library);
    let Ok(payload) = hello.encode() else {
        process::leave(3)
    };
    send(&mut output, &payload);
    let Some(sdk) = sdk else { process::leave(0) };
    let mut session = Session::new(sdk);
    while let Ok(request) = requests.recv() {
        let is_last = matches!(request, Request::Quit);
        let answer = session.answer(request);
        let Ok(payload) = answer.encode() else {
            process::leave(3)
        };
        send(&mut output, &payload);
        if is_last {
            break;
        }
    }
    process::leave(0)
}

fn send(output: &mut File, payload: &[u8]) {
    let sent = frame(payload, ANSWER_MAX).is_ok_and(|frame| output.write_all(&frame).is_ok());
    if !sent {
        process::leave(3);
    }
}
