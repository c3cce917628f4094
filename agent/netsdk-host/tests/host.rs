//! The program against the double of the vendor's library, as the agent drives it.

// Everything here is test code, also what stands outside of test functions: lints go by this.
#![cfg(test)]

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tvt_fakesdk::place;
use tvtfleet_proto::device::sdkpipe::{
    ANSWER_MAX, Answer, CallFailure, FrameReader, Hello, Library, Login, REQUEST_MAX, Reason,
    Request, StreamChoice, channels, clock, disk, facts, frame, info, recording,
};
use tvtfleet_proto::model::secret::Secret;

/// Longer than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

struct Host {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    reader: FrameReader,
}

impl Host {
    fn start(library: &Path, settings: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tvt-netsdk-host"))
            .arg(library)
            .envs(settings.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take().unwrap(),
            output: child.stdout.take().unwrap(),
            child,
            reader: FrameReader::new(ANSWER_MAX),
        }
    }

    fn fake(settings: &[(&str, &str)]) -> Self {
        let mut host = Self::start(&place::library().unwrap(), settings);
        let hello = host.hello();
        assert!(matches!(hello.library, Library::Ready { .. }), "{hello:?}");
        host
    }

    fn payload(&mut self) -> Option<Vec<u8>> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(payload) = self.reader.next_payload().unwrap() {
                return Some(payload.to_vec());
            }
            match self.output.read(&mut buffer).unwrap() {
                0 => return None,
                count => self.reader.push(&buffer[..count]),
            }
        }
    }

    fn hello(&mut self) -> Hello {
        Hello::decode(&self.payload().unwrap()).unwrap()
    }

    fn send(&mut self, request: &Request) {
        let frame = frame(&request.encode().unwrap(), REQUEST_MAX).unwrap();
        self.input.write_all(&frame).unwrap();
    }

    fn ask(&mut self, request: &Request) -> Answer {
        self.send(request);
        let payload = self.payload().expect("the host is alive");
        Answer::decode(&payload).unwrap()
    }

    fn reason(&mut self, request: &Request) -> Reason {
        let answer = self.ask(request);
        let Answer::Failed(CallFailure { reason, .. }) = answer else {
            panic!("{answer:?}")
        };
        reason
    }

    fn log_in(&mut self) {
        let answer = self.ask(&login("secret"));
        assert!(matches!(answer, Answer::Device(_)), "{answer:?}");
    }

    fn ended(&mut self) -> bool {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if self.child.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn login(password: &str) -> Request {
    Request::Login(Login {
        host: "192.0.2.7".into(),
        port: 6036,
        username: "admin".into(),
        password: Secret::new(password),
        connect_ms: 3000,
        nat: None,
    })
}

#[test]
fn every_version_tells_the_same_device() {
    for (version, build, names) in [
        ("028", 31_115, false),
        ("036", 60_222, true),
        ("132", 90_116, true),
    ] {
        let settings = [("FAKE_NETSDK_VERSION", version)];
        let mut host = Host::start(&place::library().unwrap(), &settings);
        let hello = host.hello();
        let Library::Ready { build: found, .. } = hello.library else {
            panic!("{hello:?}")
        };
        assert_eq!(found, build);
        let Answer::Device(device) = host.ask(&login("secret")) else {
            panic!("no login")
        };
        let facts = facts(&device);
        assert_eq!(facts.name, "fake-192.0.2.7");
        assert_eq!(facts.model, "FAKE-NVR8");
        assert_eq!(facts.firmware, "1.4.10.0");
        assert_eq!(facts.serial.len(), 32, "a serial may fill its field");
        assert_eq!(facts.total_channels, Some(16));
        assert!(facts.mac.unwrap().to_string().starts_with("58:5B:69:"));
        let Answer::Cameras(cameras) = host.ask(&Request::Cameras) else {
            panic!("no cameras")
        };
        assert_eq!(cameras.len(), 8);
        let Answer::Channels(rows) = host.ask(&Request::Channels) else {
            panic!("no channels")
        };
        let found = channels(&cameras, &rows);
        let shown: Vec<String> = found
            .iter()
            .map(|c| format!("{} {} {} {}", c.label, c.address, c.status.as_str(), c.name))
            .collect();
        let name = |number: u16| match (names, number) {
            (true, 7) => "n".repeat(36),
            (true, 8) => "bad \u{FFFD} text".to_owned(),
            (true, 6) | (false, _) => format!("channel {number}"),
            (true, _) => format!("camera {number}"),
        };
        let expected: Vec<String> = (1..=8_u16)
            .map(|number| match number {
                6 => format!("6  Offline {}", name(6)),
                _ => {
                    let status = if number == 3 { "Offline" } else { "Online" };
                    format!("{number} 192.0.2.{} {status} {}", number + 9, name(number))
                }
            })
            .collect();
        assert_eq!(shown, expected, "{version}");
        assert!(matches!(host.ask(&Request::DeviceInfo), Answer::Device(again) if again == device));
        assert_eq!(host.ask(&Request::Quit), Answer::Done);
        assert!(host.ended());
    }
}

#[test]
fn the_contract_of_the_library_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    for version in ["028", "036"] {
        let mut host = Host::fake(&[
            ("FAKE_NETSDK_TRACE", trace.to_str().unwrap()),
            ("FAKE_NETSDK_VERSION", version),
        ]);
        host.log_in();
        host.ask(&Request::Cameras);
        host.ask(&Request::Channels);
        assert_eq!(host.ask(&Request::Quit), Answer::Done);
    }
    let trace = std::fs::read_to_string(trace).unwrap();
    assert!(!trace.contains("VIOLATION"), "{trace}");
    assert!(trace.contains("Logout#1"), "{trace}");
    assert!(!trace.contains("secret"), "{trace}");
}

#[test]
fn asks_are_answered_as_the_records_say() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let mut host = Host::fake(&[
        ("FAKE_NETSDK_TRACE", trace.to_str().unwrap()),
        ("FAKE_NETSDK_VERSION", "132"),
    ]);
    let Answer::Device(device) = host.ask(&login("secret")) else {
        panic!("no login")
    };
    let shown = info(&device);
    assert_eq!(shown.kernel.as_deref(), Some("kernel"));
    assert_eq!((shown.alarm_in, shown.alarm_out), (Some(4), Some(1)));
    let Answer::Clock(time) = host.ask(&Request::Clock) else {
        panic!("no clock")
    };
    let shown = clock(time).unwrap().local_time;
    assert_eq!(shown.as_deref(), Some("2026-11-07 08:09:10"));
    let Answer::Disks(rows) = host.ask(&Request::Disks) else {
        panic!("no disks")
    };
    let shown: Vec<_> = rows.iter().map(disk).collect();
    assert_eq!(shown[0].total_mb, Some(3_815_447));
    assert_eq!(shown[1].status.as_deref(), Some("unformatted"));
    assert_eq!(shown.len(), 2);
    let Answer::Recording(rows) = host.ask(&Request::Recording) else {
        panic!("no recordings")
    };
    let third = recording(&rows[2]);
    assert_eq!((rows.len(), third.channel), (8, Some(3)));
    assert_eq!(third.state.as_deref(), Some("exception"));
    assert_eq!(third.resolution.as_deref(), Some("2560x1440"));
    let choice = |channel| Request::RtspUrl(StreamChoice { channel, stream: 1 });
    let url = "rtsp://192.0.2.7:554/?chID=8&streamType=sub".to_owned();
    assert_eq!(host.ask(&choice(7)), Answer::RtspUrl(Some(url)));
    assert_eq!(host.reason(&choice(8)), Reason::Number(4));
    assert_eq!(host.ask(&Request::Reboot), Answer::Done);
    assert_eq!(host.ask(&Request::Quit), Answer::Done);
    let trace = std::fs::read_to_string(trace).unwrap();
    assert!(!trace.contains("VIOLATION"), "{trace}");
    assert_eq!(trace.matches("RebootDVR").count(), 1, "{trace}");
    // Earlier headers have another record under the name.
    let mut host = Host::fake(&[]);
    host.log_in();
    assert_eq!(host.reason(&Request::Recording), Reason::Missing);
}

#[test]
fn asks_bear_a_library_that_fails_or_tells_a_password() {
    let mut host = Host::fake(&[
        ("FAKE_NETSDK_FAIL0", "GetDeviceTime#1;GetDeviceTime#2"),
        ("FAKE_NETSDK_FAIL", "FindDisk=22;RebootDVR=2"),
        ("FAKE_NETSDK_URL", "rtsp://admin:hunter2@192.0.2.7/x"),
    ]);
    host.log_in();
    assert!(matches!(host.ask(&Request::Clock), Answer::Clock(_)));
    assert_eq!(host.ask(&Request::Disks), Answer::Disks(Vec::new()));
    assert_eq!(host.reason(&Request::Reboot), Reason::Number(2));
    let first = Request::RtspUrl(StreamChoice {
        channel: 0,
        stream: 0,
    });
    let url = "rtsp://192.0.2.7/x".to_owned();
    assert_eq!(host.ask(&first), Answer::RtspUrl(Some(url)));
    for url in ["rtsp://192.0.2.7/x?pwd=hunter2", "no address"] {
        let mut host = Host::fake(&[("FAKE_NETSDK_URL", url)]);
        host.log_in();
        assert_eq!(host.ask(&first), Answer::RtspUrl(None), "{url}");
    }
    let mut host = Host::fake(&[("FAKE_NETSDK_OVERRUN", "GetNextDiskInfo=2048")]);
    host.log_in();
    assert!(matches!(host.reason(&Request::Disks), Reason::Layout(_)));
    assert_eq!(Host::fake(&[]).reason(&Request::Clock), Reason::Order);
}

#[test]
fn failures_keep_the_librarys_number() {
    let mut host = Host::fake(&[("FAKE_NETSDK_CREDS", "admin:right")]);
    assert_eq!(host.reason(&Request::Cameras), Reason::Order);
    assert_eq!(host.reason(&login("wrong")), Reason::Number(1));
    assert_eq!(host.reason(&login("nul\0")), Reason::Argument);
    for number in (1_u32..=123).chain([999]) {
        let mut host = Host::fake(&[("FAKE_NETSDK_FAIL", &format!("Login={number}"))]);
        assert_eq!(host.reason(&login("x")), Reason::Number(number));
        let fails = format!("GetDeviceIPCInfo={number}");
        let mut host = Host::fake(&[("FAKE_NETSDK_FAIL", &fails)]);
        host.log_in();
        assert_eq!(host.reason(&Request::Cameras), Reason::Number(number));
    }
    let mut host = Host::fake(&[("FAKE_NETSDK_FAIL0", "Login")]);
    assert_eq!(host.reason(&login("x")), Reason::Unsaid);
}

#[test]
fn a_recorder_that_is_not_ready_is_asked_again() {
    let mut host = Host::fake(&[("FAKE_NETSDK_FAIL", "GetDeviceIPCInfo#1=97")]);
    host.log_in();
    assert!(matches!(host.ask(&Request::Cameras), Answer::Cameras(rows) if rows.len() == 8));
}

#[test]
fn wrong_layouts_never_yield_rows() {
    for settings in [
        ("FAKE_NETSDK_OVERRUN", "GetDeviceIPCInfo=64"),
        ("FAKE_NETSDK_COUNT", "9999"),
        ("FAKE_NETSDK_COUNT", "-1"),
        ("FAKE_NETSDK_COUNT", "2147483648"),
        ("FAKE_NETSDK_STRIDE", "300"),
    ] {
        for zero in ["FAKE_NETSDK_ZEROFILL", "FAKE_NETSDK_NOTHING"] {
            let mut host = Host::fake(&[settings, (zero, "1")]);
            host.log_in();
            let reason = host.reason(&Request::Cameras);
            assert!(
                matches!(reason, Reason::Layout(_)),
                "{settings:?} {reason:?}"
            );
        }
    }
    // What the data says wins over the build number.
    let mut host = Host::fake(&[("FAKE_NETSDK_STRIDE", "276")]);
    host.log_in();
    assert!(matches!(host.ask(&Request::Cameras), Answer::Cameras(rows) if rows.len() == 8));
}

#[test]
fn a_picture_comes_from_the_buffer_else_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let with = |settings: &[(&'static str, &'static str)]| {
        let all = [("FAKE_NETSDK_TRACE", trace.to_str().unwrap())];
        let mut host = Host::fake(&[&all, settings].concat());
        host.log_in();
        host.ask(&Request::Picture(2))
    };
    let Answer::Picture(first) = with(&[]) else {
        panic!("no picture")
    };
    let text = String::from_utf8_lossy(&first.0).into_owned();
    assert!(text.contains("192.0.2.7:6036 channel 2"), "{text:?}");
    assert!(first.0.starts_with(&[0xFF, 0xD8]) && first.0.ends_with(&[0; 16]));
    for unable in ["CaptureJPEGData_V2=96", "CaptureJPEGData_V2=26"] {
        assert_eq!(
            with(&[("FAKE_NETSDK_FAIL", unable)]),
            Answer::Picture(first.clone())
        );
    }
    let files = || {
        std::fs::read_to_string(&trace)
            .unwrap()
            .matches("JPEGFile")
            .count()
    };
    let tried = files();
    assert!(tried > 0);
    // The channel's camera is away: a second call would say the same.
    let Answer::Failed(failed) = with(&[("FAKE_NETSDK_FAIL", "CaptureJPEGData_V2=98")]) else {
        panic!("a picture of nothing")
    };
    assert_eq!((failed.reason, files()), (Reason::Number(98), tried));
    let both = "CaptureJPEGData_V2=96;CaptureJPEGFile_V2=91";
    let Answer::Failed(failed) = with(&[("FAKE_NETSDK_FAIL", both)]) else {
        panic!("a picture of nothing")
    };
    assert_eq!(failed.reason, Reason::Number(91));
    assert!(
        !std::fs::read_to_string(&trace)
            .unwrap()
            .contains("VIOLATION")
    );
}

#[test]
fn a_picture_that_is_longer_than_its_buffer_is_not_used() {
    for fault in [
        ("FAKE_NETSDK_COUNT", "4294967295"),
        ("FAKE_NETSDK_OVERRUN", "CaptureJPEGData_V2=64"),
    ] {
        let mut host = Host::fake(&[fault]);
        host.log_in();
        let reason = host.reason(&Request::Picture(0));
        assert!(matches!(reason, Reason::Layout(_)), "{fault:?}");
    }
}

/// A copy of the double without a function: its name is another one.
fn without(folder: &Path, function: &str) -> std::path::PathBuf {
    let mut bytes = std::fs::read(place::library().unwrap()).unwrap();
    let name = format!("\0{function}\0").into_bytes();
    let mut changed = 0;
    while let Some(at) = bytes.windows(name.len()).position(|found| found == name) {
        bytes[at + 1] = b'X';
        changed += 1;
    }
    assert!(changed > 0, "the double has {function}");
    let path = folder.join(format!("{function}.so"));
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn functions_that_are_missing_are_named_and_only_needed_ones_matter() {
    let folder = tempfile::tempdir().unwrap();
    for function in [
        "NET_SDK_Init",
        "NET_SDK_Login",
        "NET_SDK_GetDeviceIPCInfo",
        "NET_SDK_GetLastError",
    ] {
        let path = without(folder.path(), function);
        let library = Host::start(&path, &[]).hello().library;
        let missing = vec![function.to_owned()];
        assert_eq!(library, Library::Incomplete { missing });
    }
    for (function, request) in [
        ("NET_SDK_GetDeviceTime", Request::Clock),
        ("NET_SDK_GetDeviceCHStatus", Request::Channels),
        ("NET_SDK_GetNextDiskInfo", Request::Disks),
        ("NET_SDK_RebootDVR", Request::Reboot),
        (
            "NET_SDK_GetRtspUrl",
            Request::RtspUrl(StreamChoice {
                channel: 0,
                stream: 0,
            }),
        ),
    ] {
        let path = without(folder.path(), function);
        let mut host = Host::start(&path, &[]);
        let Library::Ready { missing, .. } = host.hello().library else {
            panic!("{function} is not needed")
        };
        assert_eq!(missing, [function]);
        host.log_in();
        assert_eq!(host.reason(&request), Reason::Missing, "{function}");
        assert!(matches!(host.ask(&Request::Cameras), Answer::Cameras(rows) if rows.len() == 8));
    }
    // The other call for pictures stands in.
    for function in ["NET_SDK_CaptureJPEGData_V2", "NET_SDK_CaptureJPEGFile_V2"] {
        let path = without(folder.path(), function);
        let mut host = Host::start(&path, &[]);
        host.hello();
        host.log_in();
        let answer = host.ask(&Request::Picture(0));
        assert!(
            matches!(answer, Answer::Picture(_)),
            "{function} {answer:?}"
        );
    }
}

#[test]
fn what_the_library_prints_stays_out_of_the_frames() {
    for noise in ["flood", "sentinel", "noise"] {
        let mut host = Host::fake(&[("FAKE_NETSDK_STDOUT", noise)]);
        host.log_in();
        assert!(
            matches!(host.ask(&Request::Cameras), Answer::Cameras(_)),
            "{noise}"
        );
    }
}

#[test]
fn a_library_that_cannot_be_used_is_told_from_one_that_can() {
    let folder = tempfile::tempdir().unwrap();
    let library = |path: &Path| Host::start(path, &[]).hello().library;
    let absent = folder.path().join("libdvrnetsdk.so");
    let Library::NotLoaded { text } = library(&absent) else {
        panic!("it is not there")
    };
    assert!(text.contains(absent.to_str().unwrap()), "{text}");
    std::fs::write(&absent, "no library").unwrap();
    assert!(matches!(library(&absent), Library::NotLoaded { .. }));
    // A library of somebody else.
    let Library::Incomplete { missing } = library(Path::new("libm.so.6")) else {
        panic!("it is not the vendor's")
    };
    assert!(missing.contains(&"NET_SDK_Login".to_owned()), "{missing:?}");
}

#[test]
fn a_missing_companion_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(place::library().unwrap()).unwrap();
    let (needed, absent) = (b"libgcc_s.so.1", b"libShareLi.so");
    let mut at = 0;
    let mut changed = 0;
    while let Some(found) = bytes[at..].windows(needed.len()).position(|w| w == needed) {
        bytes[at + found..][..absent.len()].copy_from_slice(absent);
        at += found + absent.len();
        changed += 1;
    }
    assert!(changed > 0, "the double needs libgcc_s.so.1");
    let path = folder.path().join("libdvrnetsdk.so");
    std::fs::write(&path, bytes).unwrap();
    let hello = Host::start(&path, &[]).hello();
    let Library::NotLoaded { text } = hello.library else {
        panic!("{hello:?}")
    };
    assert!(text.contains("libShareLi.so"), "{text}");
    let share = hello
        .companions
        .iter()
        .find(|c| c.name == "ShareLib")
        .unwrap();
    assert!(
        share.loaded.is_none() && share.trouble.is_some(),
        "{share:?}"
    );
}

#[test]
fn it_ends_with_its_agent_even_while_the_library_hangs() {
    let mut host = Host::fake(&[("FAKE_NETSDK_HANG", "Login")]);
    host.send(&login("secret"));
    // Closing stdin is what the end of the agent looks like.
    let Host { child, input, .. } = &mut host;
    drop(std::mem::replace(input, {
        let mut other = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        let stdin = other.stdin.take().unwrap();
        other.wait().unwrap();
        stdin
    }));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn nonsense_from_the_agent_ends_it() {
    let mut host = Host::fake(&[]);
    host.input.write_all(&u32::MAX.to_le_bytes()).unwrap();
    assert_eq!(host.child.wait().unwrap().code(), Some(3));
}
