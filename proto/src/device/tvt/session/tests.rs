//! The session as a whole, driven by bytes and a clock of our own.

use std::time::Duration;

use proptest::prelude::*;

use super::super::*;
use super::bench::*;
use crate::error::ErrorCode;
use crate::model::secret::{Credential, Secret};

#[test]
fn a_probe_reads_the_greeting_and_sends_nothing() {
    let now = start();
    let mut session = Session::new(now, SessionConfig::new(Goal::Probe), None);
    session.handle_input(now, &greeting(11, 2)[..63]);
    assert!(!session.is_done());
    session.handle_input(now, &greeting(11, 2)[63..]);
    assert!(session.is_done() && session.poll_transmit().is_none());
    let Some(Event::Greeting(init)) = session.poll_event() else {
        panic!("no greeting")
    };
    assert_eq!(init.mac.to_string(), "58:5B:69:01:02:03");
    let Some(Event::Finished(outcome)) = session.poll_event() else {
        panic!("not finished")
    };
    assert_eq!(outcome.result, Ok(Findings::default()));
    assert_eq!(outcome.greeting, Some(*init));
}

#[test]
fn the_login_follows_the_greeting_without_a_pause() {
    let bench = Bench::new().then(&greeting(3, 2));
    assert_eq!(bench.sent.len(), 1);
    assert_eq!(bench.sent[0].len(), 24 + 116);
    let head = Bench::new().then(&greeting(11, 2));
    assert_eq!(head.sent[0].len(), 24 + 236);
}

#[test]
fn nothing_is_sent_without_consent() {
    let mut bench = Bench::new();
    bench.consent = false;
    let mut bench = bench
        .then(&greeting(3, 2))
        .then(&HEARTBEAT)
        .then(&accepted(1));
    let offer = LoginOffer {
        variant: Variant::Standard,
        protection: Protection::Xor,
    };
    assert_eq!(bench.events.last(), Some(&Event::LoginRequested(offer)));
    assert!(bench.sent.is_empty());
    bench.session.deny(ErrorCode::AccountLocked);
    bench.collect();
    assert_eq!(bench.failure().code, ErrorCode::AccountLocked);
    assert!(!bench.failure().credentials_sent && bench.sent.is_empty());
}

type Change = fn(&mut SessionConfig);

#[test]
fn what_must_not_be_sent_is_not_offered() {
    let none: Change = |_| ();
    let rows: &[(Change, Option<&str>, u8, ErrorCode)] = &[
        (
            |c| c.allow_plaintext = false,
            Some(PASSWORD),
            0,
            ErrorCode::PolicyRefused,
        ),
        (
            |c| c.allow_xor = false,
            Some(PASSWORD),
            2,
            ErrorCode::PolicyRefused,
        ),
        (none, Some(PASSWORD), 3, ErrorCode::UnsupportedVariant),
        (none, Some(""), 2, ErrorCode::CredentialInvalid),
        (none, Some("p\u{e4}ss"), 2, ErrorCode::CredentialInvalid),
        (
            none,
            Some("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
            2,
            ErrorCode::PasswordTooLong,
        ),
        (none, None, 2, ErrorCode::CredentialMissing),
    ];
    for (change, password, mode, code) in rows {
        let mut bench = Bench::with(change);
        bench.session = {
            let mut config = SessionConfig::new(Goal::Scan);
            config.allow_plaintext = true;
            config.allow_xor = true;
            change(&mut config);
            let credential = password.map(|password| Credential {
                username: "admin".into(),
                password: Secret::new(password),
            });
            Session::new(bench.now, config, credential)
        };
        let bench = bench.then(&greeting(3, *mode));
        assert_eq!(bench.failure().code, *code);
        assert_eq!(bench.failure().phase, Phase::BeforeLogin);
        assert!(bench.sent.is_empty() && !bench.failure().credentials_sent);
        assert!(
            !bench
                .events
                .iter()
                .any(|event| matches!(event, Event::LoginRequested(_)))
        );
    }
}

#[test]
fn refusals_are_classified() {
    let rows = [
        (
            3,
            frame(0x0100_0102, &[2, 0, 0, 0]),
            ErrorCode::LoginRejected,
            Some(2),
            "02000000",
        ),
        (
            3,
            frame(0x0100_0102, &[3, 0, 0, 0]),
            ErrorCode::Busy,
            Some(3),
            "03000000",
        ),
        (
            3,
            frame(0x0100_0102, &[2]),
            ErrorCode::LoginFailed,
            None,
            "02",
        ),
        (
            11,
            frame(0x0100_0204, &[1, 0, 0, 0]),
            ErrorCode::LoginRejected,
            Some(1),
            "01000000",
        ),
        (
            11,
            frame(0x0100_0204, &[0x27, 0, 0, 0x20]),
            ErrorCode::AccountLocked,
            Some(0x2000_0027),
            "27000020",
        ),
        (
            11,
            frame(0x0100_0204, &[0x23, 0, 0, 0x20]),
            ErrorCode::LoginRejected,
            Some(0x2000_0023),
            "23000020",
        ),
        (
            11,
            frame(0x0100_0204, &[0x26, 0, 0, 0x20]),
            ErrorCode::RefusedByDevice,
            Some(0x2000_0026),
            "26000020",
        ),
        (
            11,
            frame(0x0100_0102, &[3, 0, 0, 0]),
            ErrorCode::Busy,
            Some(3),
            "03000000",
        ),
    ];
    for (version, reply, code, wire_code, payload_hex) in rows {
        let bench = Bench::logging_in(version).then(&reply);
        let failure = bench.failure();
        assert_eq!((failure.code, failure.wire_code), (code, wire_code));
        assert_eq!(
            (failure.phase, failure.payload_hex.as_str()),
            (Phase::Login, payload_hex)
        );
        assert_eq!(failure.may_retry(), code == ErrorCode::Busy);
        assert_eq!(bench.sent.len(), 1, "no logout after a refused login");
    }
    let long = Bench::logging_in(11).then(&frame(0x0100_0204, &[0xAB; 100]));
    assert_eq!(long.failure().payload_hex.len(), 128);
}

#[test]
fn a_refusal_may_come_before_the_login() {
    let mut bench = Bench::new();
    bench.consent = false;
    let bench = bench
        .then(&greeting(3, 2))
        .then(&frame(0x0100_0102, &[3, 0, 0, 0]));
    assert_eq!(bench.failure().code, ErrorCode::Busy);
    assert!(!bench.failure().credentials_sent);
}

#[test]
fn command_ids_belong_to_their_family() {
    // In the camera family these ids mean other things.
    let bench = Bench::logging_in(3)
        .then(&frame(0x0100_0204, &[1, 0, 0, 0]))
        .then(&frame(0x0100_0104, &[]))
        .then(&accepted(0));
    assert_eq!(bench.outcome().traffic.pushed_frames, 2);
    assert_eq!(bench.outcome().device_name(Compat::None), "Front");
    let other = Bench::logging_in(3).then(&frame(0x0001_0001, &[0; 348]));
    assert_eq!(other.failure().code, ErrorCode::UnsupportedVariant);
    assert_eq!(other.failure().hint, Some("dvr_v4"));
    let flagged = Bench::logging_in(3).then(b"AAAA\x10\0\0\0");
    assert_eq!(flagged.failure().hint, Some("dvr_v4"));
}

#[test]
fn a_head_login_is_found_by_its_shape() {
    let short = frame(0x0100_00AA, &[0; 4]);
    for command in [0x0100_0304, 0x0100_0104, 0x0100_0101] {
        let bench = Bench::logging_in(11)
            .then(&short)
            .then(&HEARTBEAT)
            .then(&head_record(0x0100_00AA, 40, 32, 40))
            .then(&head_record(command, 2, 32, 2));
        assert_eq!(bench.findings().channels.len(), 2, "{command:#x}");
        assert_eq!(bench.findings().partial, [ErrorCode::AddressesUnknown]);
        assert_eq!(bench.outcome().serial_number(), Some("N123"));
        assert_eq!(bench.outcome().device_name(Compat::None), "");
        assert_eq!(bench.outcome().device_name(Compat::Pytvt051), "N123");
        assert_eq!(bench.commands()[1..], [LOGOUT]);
    }
}

#[test]
fn a_head_refusal_behind_an_acknowledgement_is_noticed() {
    let bench = Bench::logging_in(11)
        .then(&frame(0x0100_0104, &[0; 4]))
        .then(&frame(0x0100_0204, &[0; 4]));
    assert_eq!(bench.failure().code, ErrorCode::LoginRejected);
    let silent = Bench::logging_in(11)
        .then(&frame(0x0100_0104, &[0; 4]))
        .wait(limits::LOGIN);
    assert_eq!(silent.failure().code, ErrorCode::Truncated);
    assert!(silent.failure().login_accepted && !silent.failure().may_have_counted());
    assert_eq!(silent.commands()[1..], [LOGOUT]);
}

#[test]
fn missing_records_and_channels_are_reported() {
    let short = Bench::logging_in(11).then(&head_record(0x0100_0304, 8, 32, 2));
    assert_eq!(
        short.findings().partial,
        [ErrorCode::Truncated, ErrorCode::AddressesUnknown]
    );
    let none = Bench::logging_in(11).then(&head_record(0x0100_0304, 0, 32, 0));
    assert_eq!(none.findings().partial, [ErrorCode::NoChannels]);
    assert_eq!(none.sent.len(), 2, "login and logout, no tunnel");
}

#[test]
fn the_walk_stops_at_the_first_path_with_cameras() {
    let bench = Bench::logging_in(3)
        .then(&accepted(1))
        .then(&HEARTBEAT)
        .then(&answer(1, NOT_FOUND))
        .then(&frame(0x0100_0B01, &[0; 8]))
        .then(&answer(2, ONE_CAMERA));
    assert_eq!(bench.findings().channels[0].address, "10.0.0.1");
    assert!(bench.findings().partial.is_empty());
    assert_eq!(
        bench.outcome().working_path(),
        Some(TunnelPath::ChannelTable)
    );
    assert_eq!(bench.sent.len(), 4, "login, two requests, logout");
    assert_eq!(bench.commands()[3], LOGOUT);
    let traffic = bench.outcome().traffic;
    assert_eq!((traffic.heartbeats, traffic.pushed_frames), (1, 1));
}

#[test]
fn the_login_reply_and_the_mode_decide_about_the_walk() {
    let rows = [
        (TunnelMode::Auto, 0, false),
        (TunnelMode::Auto, 1, true),
        (TunnelMode::Always, 0, true),
        (TunnelMode::Never, 1, false),
    ];
    for (mode, pass_through, walks) in rows {
        let bench = Bench::with(|c| c.tunnel = mode)
            .then(&greeting(3, 2))
            .then(&accepted(pass_through));
        assert_eq!(bench.session.is_done(), !walks, "{mode:?} {pass_through}");
        assert_eq!(bench.sent.len(), 2);
    }
    let too_short = Bench::logging_in(3).then(&frame(0x0100_0101, &[0; 100]));
    assert!(
        !too_short.session.is_done(),
        "a reply too short to say is worth a try"
    );
}

#[test]
fn trouble_in_the_walk_is_a_partial_result() {
    let walking = || Bench::logging_in(3).then(&accepted(1));
    let every = |content: &str| {
        (1..=3).fold(walking(), |bench, sequence| {
            bench.then(&answer(sequence, content))
        })
    };
    let denied = "HTTP/1.1 401 Unauthorized\r\n\r\n";
    let mut cut = answer(1, ONE_CAMERA);
    cut[24] = 0xFF;
    let step = limits::TUNNEL_REPLY;
    let rows = [
        (every(NOT_FOUND), vec![ErrorCode::TunnelUnsupported]),
        (every(denied), vec![ErrorCode::TunnelDenied]),
        (every("<html/>"), vec![ErrorCode::TunnelBadReply]),
        (every("<config/>"), vec![]),
        (every("{}"), vec![]),
        (
            walking().wait(step).wait(step).wait(step),
            vec![ErrorCode::TunnelTimeout],
        ),
        (
            walking().wait(limits::SESSION),
            vec![ErrorCode::TunnelTimeout],
        ),
        (walking().eof(), vec![ErrorCode::TunnelUnsupported]),
        (walking().then(b"11").eof(), vec![ErrorCode::Truncated]),
        (
            walking().then(b"zzzzzzzz"),
            vec![ErrorCode::ProtocolViolation],
        ),
        (
            walking().then(b"1111\xFF\xFF\xFF\x7F"),
            vec![ErrorCode::FrameTooLarge],
        ),
        (
            walking()
                .then(&cut)
                .then(&answer(2, NOT_FOUND))
                .then(&answer(3, denied)),
            vec![ErrorCode::Truncated, ErrorCode::TunnelDenied],
        ),
    ];
    for (bench, mut partial) in rows {
        partial.push(ErrorCode::NoChannels);
        assert_eq!(bench.findings().partial, partial);
        assert_eq!(bench.commands().last(), Some(&LOGOUT));
    }
}

#[test]
fn the_end_of_the_stream_means_what_its_place_says() {
    let greeted = || {
        let mut bench = Bench::new();
        bench.consent = false;
        bench.then(&greeting(3, 2))
    };
    let rows = [
        (Bench::new().eof(), ErrorCode::Closed, Phase::Greeting, true),
        (
            Bench::new().then(b"he").eof(),
            ErrorCode::Truncated,
            Phase::Greeting,
            true,
        ),
        (
            Bench::new().then(b"HTTP/1.1"),
            ErrorCode::NotTvt,
            Phase::Greeting,
            false,
        ),
        (greeted().eof(), ErrorCode::Closed, Phase::BeforeLogin, true),
        (
            Bench::logging_in(3).eof(),
            ErrorCode::ClosedAfterLogin,
            Phase::Login,
            false,
        ),
        (
            Bench::logging_in(3).then(b"1").eof(),
            ErrorCode::Truncated,
            Phase::Login,
            false,
        ),
        (
            Bench::logging_in(3).then(b"zzzzzzzz"),
            ErrorCode::ProtocolViolation,
            Phase::Login,
            false,
        ),
        (
            Bench::logging_in(3).then(&frame(0x0100_0101, &[0; 79])),
            ErrorCode::Truncated,
            Phase::Login,
            false,
        ),
    ];
    for (bench, code, phase, retry) in rows {
        let failure = bench.failure();
        assert_eq!((failure.code, failure.phase), (code, phase), "{failure:?}");
        assert_eq!(failure.may_retry(), retry, "{failure:?}");
        assert_eq!(failure.credentials_sent, phase == Phase::Login);
    }
}

#[test]
fn deadlines_are_absolute() {
    let tick = Duration::from_millis(900);
    let slow = greeting(3, 2)
        .chunks(1)
        .fold(Bench::new(), |b, byte| b.then(byte).wait(tick));
    assert_eq!(slow.failure().code, ErrorCode::InitTimeout);
    let beating = (0..20).fold(Bench::logging_in(3), |b, _| b.wait(tick).then(&HEARTBEAT));
    assert_eq!(beating.failure().code, ErrorCode::LoginTimeout);
    assert!(beating.failure().may_have_counted() && !beating.failure().may_retry());
    let mut undecided = Bench::new();
    undecided.consent = false;
    let undecided = undecided.then(&greeting(3, 2)).wait(limits::SESSION);
    assert_eq!(undecided.failure().code, ErrorCode::DeviceDeadline);
    let early = Bench::new().wait(limits::INIT - Duration::from_millis(1));
    assert!(!early.session.is_done());
}

#[test]
fn a_login_that_comes_too_late_is_not_sent() {
    let mut bench = Bench::new();
    bench.consent = false;
    let mut bench = bench.then(&greeting(3, 2));
    bench.session.proceed(bench.now + limits::SESSION);
    bench.collect();
    assert!(bench.sent.is_empty());
    assert_eq!(bench.failure().code, ErrorCode::DeviceDeadline);
}

#[test]
fn floods_are_cut_off() {
    let flood = HEARTBEAT.repeat(257);
    let before = Bench::logging_in(3).then(&flood[8..]);
    assert!(!before.session.is_done(), "256 heartbeats are allowed");
    let more = before.then(&HEARTBEAT);
    assert_eq!(more.failure().code, ErrorCode::ProtocolViolation);
    let after = Bench::logging_in(3)
        .then(&accepted(1))
        .then(&HEARTBEAT.repeat(5000));
    assert_eq!(after.findings().partial[0], ErrorCode::ProtocolViolation);
    let large = Bench::logging_in(3).then(b"1111\x01\x00\x01\x00");
    assert_eq!(large.failure().code, ErrorCode::FrameTooLarge);
    let mut bench = Bench::logging_in(3).then(&accepted(1));
    for _ in 0..20 {
        bench = bench.then(&frame(0x0100_0B01, &[0; 1_000_000]));
    }
    assert_eq!(bench.findings().partial[0], ErrorCode::FrameTooLarge);
    assert_eq!(bench.outcome().traffic.bytes, limits::SESSION_BYTES);
}

#[test]
fn an_encrypted_stream_is_named_so() {
    let mut packet = greeting(3, 2);
    packet[52] = 1;
    let bench = Bench::new()
        .then(&packet)
        .then(b"\x93\x17\x22\xA0\x11\x22\x33\x44");
    assert_eq!(bench.failure().code, ErrorCode::UnsupportedVariant);
    assert_eq!(bench.failure().hint, None);
}

#[test]
fn a_session_never_shows_its_password() {
    let mut bench = Bench::with(|_| ());
    bench.session.handle_input(bench.now, &greeting(3, 0));
    bench.session.proceed(bench.now);
    let shown = format!("{:?}", bench.session);
    assert!(!shown.contains(PASSWORD), "{shown}");
    let bytes = format!("{:?}", PASSWORD.as_bytes());
    assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
}

#[test]
fn a_session_holds_no_more_than_stated() {
    let mut bench = Bench::logging_in(3).then(&accepted(1));
    let header = Header {
        flag: *b"1111",
        command: CommandId::TUNNEL_REPLY,
        id: 0,
        version: 0,
        data_len: limits::FRAME_AFTER_LOGIN - 16,
    };
    bench = bench.then(&header.encode());
    let mut most = 0;
    for _ in 0..63 {
        bench = bench.then(&[b'['; 65_536]);
        most = most.max(bench.session.held());
    }
    let frame = usize::try_from(limits::FRAME_AFTER_LOGIN).unwrap();
    assert!(most <= frame, "{most} bytes held");
    // A member of an object: hash, key and value in the map's list, a slot in its index. A list that
    // grows has room for twice as many, and its old half lives until it is copied.
    let member = 8 + size_of::<String>() + size_of::<serde_json::Value>() + 16;
    let values = limits::JSON_VALUES * member * 2;
    let body = limits::TUNNEL_BODY + 3 * limits::TUNNEL_BODY;
    assert!(
        frame + body + values <= limits::SESSION_MEMORY,
        "{}",
        frame + body + values
    );
}

/// Streams that get far: a greeting, a login reply, answers, with noise between them.
fn device_stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(HEARTBEAT.to_vec()),
        2 => Just(frame(0x0100_0B01, &[0; 8])),
        4 => Just(accepted(1)),
        1 => Just(accepted(0)),
        2 => Just(head_record(0x0100_0304, 2, 4, 2)),
        1 => Just(frame(0x0100_0102, &[2, 0, 0, 0])),
        2 => Just(answer(1, NOT_FOUND)),
        2 => Just(answer(0, ONE_CAMERA)),
        2 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (any::<u32>(), prop::collection::vec(any::<u8>(), 0..300))
            .prop_map(|(command, payload)| frame(command, &payload)),
    ];
    let version = prop_oneof![Just(3_u8), Just(11)];
    (version, any::<bool>(), prop::collection::vec(piece, 0..8)).prop_map(
        |(version, greets, pieces)| {
            let mut stream = if greets {
                greeting(version, 2)
            } else {
                Vec::new()
            };
            stream.extend(pieces.concat());
            stream
        },
    )
}

fn run(stream: &[u8], places: &[usize]) -> (Vec<Event>, Vec<Vec<u8>>) {
    let bench = places
        .windows(2)
        .fold(Bench::new(), |b, pair| b.then(&stream[pair[0]..pair[1]]))
        .eof();
    assert!(bench.session.is_done());
    (bench.events, bench.sent)
}

proptest! {
    #[test]
    fn the_pieces_of_a_stream_do_not_matter(
        stream in device_stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        // The login must be allowed at the same byte in both, so the greeting is a piece of its own.
        let greeting_end = INIT_LEN.min(stream.len());
        let mut places: Vec<usize> = cuts.iter().map(|c| c.index(stream.len().max(1))).collect();
        places.extend([0, greeting_end, stream.len()]);
        places.sort_unstable();
        let whole = run(&stream, &[0, greeting_end, stream.len()]);
        prop_assert_eq!(run(&stream, &places), whole);
        let bytes: Vec<usize> = (0..=stream.len()).collect();
        prop_assert_eq!(run(&stream, &bytes), run(&stream, &[0, greeting_end, stream.len()]));
    }

    #[test]
    fn every_session_ends(
        stream in device_stream(),
        piece in 1_usize..100,
        pauses in prop::collection::vec(0_u64..4000, 1..50),
    ) {
        let mut bench = Bench::new();
        let began = bench.now;
        for (bytes, pause) in stream.chunks(piece).zip(pauses.iter().cycle()) {
            bench = bench.then(bytes).wait(Duration::from_millis(*pause));
        }
        while let Some(deadline) = bench.session.poll_timeout() {
            prop_assert!(deadline <= began + limits::SESSION);
            let pause = deadline - bench.now;
            bench = bench.wait(pause);
        }
        prop_assert!(matches!(bench.events.last(), Some(Event::Finished(_))));
        let after = bench.events.len();
        let bench = bench.then(&stream).eof().wait(limits::SESSION);
        prop_assert_eq!(bench.events.len(), after);
    }
}
