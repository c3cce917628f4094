//! One RTSP connection.

use std::future::pending;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::rtp::Packets;
use super::spec::{RtspFault, RtspLogin, RtspSpec, VideoCodec};
use crate::device::{Counter, Device, Verdict, Violation};
use crate::picture::{Mark, Scene, h264, h265, jpeg};
use crate::web::{Request, Shown, channels, read, shown};

/// Answers requests until the client leaves.
pub(crate) async fn serve(device: &Device, mut stream: TcpStream) {
    let mut held = Vec::new();
    let mut playing = None;
    while let Some(request) = read(&mut stream, &mut held).await {
        device.count(Counter::RtspRequests, 1);
        device.gates_passed().await;
        let live = device.live();
        let Some(spec) = live.spec.rtsp.clone() else {
            return;
        };
        if spec.fault == Some(RtspFault::Mute) {
            pending::<()>().await;
        }
        let answer = answer(device, &spec, &request, &mut playing);
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        if spec.fault == Some(RtspFault::EndlessDescription)
            && answer.contains("\r\nContent-Length")
        {
            let lines = "a=x:123456789012345678901234567890\r\n".repeat(1000);
            return for_ever(device, &mut stream, || lines.clone().into_bytes()).await;
        }
        if request.method == "PLAY"
            && let Some(mark) = playing
            && !play(device, &spec, mark, &mut stream).await
        {
            return;
        }
        if request.method == "TEARDOWN" {
            device.count(Counter::StreamsTornDown, 1);
            return;
        }
    }
}

fn answer(
    device: &Device,
    spec: &RtspSpec,
    request: &Request,
    playing: &mut Option<Mark>,
) -> String {
    let number = request.header("cseq").unwrap_or("0");
    let says = |status: &str, more: &str| {
        format!("RTSP/1.0 {status}\r\nCSeq: {number}\r\nServer: Rtsp Server\r\n{more}\r\n")
    };
    if spec.fault == Some(RtspFault::Http) {
        return "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_owned();
    }
    if spec.login != RtspLogin::Open
        && let Some(asks) = refused(device, spec, request)
    {
        return says("401 Unauthorized", &asks);
    }
    match request.method.as_str() {
        "OPTIONS" => says(
            "200 OK",
            "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n",
        ),
        "DESCRIBE" => {
            if spec.fault == Some(RtspFault::Full) {
                return says("453 Not Enough Bandwidth", "");
            }
            let Some(mark) = mark_of(device, &request.path) else {
                return says("404 Stream Not Found", "");
            };
            *playing = Some(mark);
            let text = description(spec, mark);
            let base = &request.path;
            let length = match spec.fault {
                Some(RtspFault::EndlessDescription) => 4_000_000_000,
                _ => text.len(),
            };
            let head = format!(
                "Content-Base: {base}/\r\nContent-Type: application/sdp\r\nContent-Length: {length}\r\n"
            );
            says("200 OK", &head) + &text
        }
        "SETUP" => says(
            "200 OK",
            "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 77;timeout=60\r\n",
        ),
        "PLAY" => says(
            "200 OK",
            "Session: 77\r\nRTP-Info: url=track1;seq=1;rtptime=0\r\n",
        ),
        "TEARDOWN" => says("200 OK", "Session: 77\r\n"),
        _ => says("405 Method Not Allowed", ""),
    }
}

/// The header that asks for a login, unless a right one was shown.
fn refused(device: &Device, spec: &RtspSpec, request: &Request) -> Option<String> {
    let live = device.live();
    let password = live.spec.password.reveal();
    let asks = match spec.login {
        RtspLogin::Basic => "WWW-Authenticate: Basic realm=\"rtsp\"\r\n".to_owned(),
        RtspLogin::Open | RtspLogin::Digest => {
            let nonce = device.web_state().new_nonce();
            format!("WWW-Authenticate: Digest realm=\"rtsp\", nonce=\"{nonce}\", qop=\"auth\"\r\n")
        }
    };
    if spec.fault == Some(RtspFault::AlwaysAsks) {
        return Some(asks);
    }
    let (user, right) = match shown(request, &live.spec.user, password) {
        Shown::Nothing => return Some(asks),
        Shown::Basic { user, right } => {
            if spec.login != RtspLogin::Basic {
                device.violation(Violation::PasswordShown, 0);
            }
            (user, right && spec.login == RtspLogin::Basic)
        }
        Shown::Digest {
            user, right, nonce, ..
        } => {
            let known = device.web_state().nonces.contains_key(&nonce);
            (user, right && known && spec.login == RtspLogin::Digest)
        }
    };
    device.count(Counter::LoginsTried, 1);
    match device.judge(&user, right, &live.spec.lock) {
        Verdict::Welcome => {
            device.count(Counter::LoginsSucceeded, 1);
            None
        }
        verdict @ (Verdict::Wrong | Verdict::WrongAndLocked | Verdict::Locked) => {
            device.count(Counter::LoginsFailed, 1);
            if verdict == Verdict::WrongAndLocked {
                device.count(Counter::Lockouts, 1);
            }
            Some(asks)
        }
    }
}

/// The channel and stream of an address: `…/chID=3&streamType=sub`, or `…/profile2` of a camera.
fn mark_of(device: &Device, url: &str) -> Option<Mark> {
    let spec = &device.live().spec;
    let path = url.trim_end_matches('/').rsplit('/').next()?;
    let number = device.mark();
    if let Some(profile) = path.strip_prefix("profile") {
        return Some(Mark {
            device: number,
            channel: 1,
            stream: profile
                .parse()
                .ok()
                .filter(|profile| (1..=3).contains(profile))?,
        });
    }
    let (channel, stream) = path.strip_prefix("chID=")?.split_once("&streamType=")?;
    let channel: u16 = channel.parse().ok()?;
    let known = channels(spec)
        .iter()
        .any(|one| one.online && one.number == usize::from(channel));
    let stream = match stream {
        "main" => 1,
        "sub" => 2,
        _ => return None,
    };
    known.then_some(Mark {
        device: number,
        channel,
        stream,
    })
}

fn description(spec: &RtspSpec, mark: Mark) -> String {
    let begin = match spec.fault {
        Some(RtspFault::OldServer) => {
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=live\r\nt=0 0\r\na=tool:LIVE555 Streaming Media v2011.05.25\r\n"
        }
        _ => "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=live\r\nt=0 0\r\n",
    };
    match spec.fault {
        Some(RtspFault::BadDescription) => return "<html>no such page</html>\r\n".to_owned(),
        Some(RtspFault::NoVideo) => {
            return format!("{begin}m=audio 0 RTP/AVP 8\r\na=control:track2\r\n");
        }
        _ => {}
    }
    let sets = |first: usize, count: usize| -> Vec<String> {
        units(spec, &Scene::live(mark, 0).enlarged(spec.times))
            .iter()
            .skip(first)
            .take(count)
            .map(|unit| STANDARD.encode(unit))
            .collect()
    };
    let (kind, map) = match spec.codec {
        VideoCodec::H264 if spec.sets_described => (
            96,
            format!(
                "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1; sprop-parameter-sets={}\r\n",
                sets(0, 2).join(",")
            ),
        ),
        VideoCodec::H264 => (
            96,
            "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n".to_owned(),
        ),
        VideoCodec::H265 if spec.sets_described => {
            let sets = sets(0, 3);
            let named = ["vps", "sps", "pps"].iter().zip(sets);
            let named: Vec<String> = named
                .map(|(name, set)| format!("sprop-{name}={set}"))
                .collect();
            let named = named.join("; ");
            (
                96,
                format!("a=rtpmap:96 H265/90000\r\na=fmtp:96 {named}\r\n"),
            )
        }
        VideoCodec::H265 => (96, "a=rtpmap:96 H265/90000\r\n".to_owned()),
        VideoCodec::Jpeg => (26, String::new()),
    };
    format!(
        "{begin}m=audio 0 RTP/AVP 8\r\na=control:track2\r\nm=video 0 RTP/AVP {kind}\r\n{map}a=control:track1\r\n"
    )
}

/// The parameter sets and the picture of a key frame.
fn units(spec: &RtspSpec, scene: &Scene) -> Vec<Vec<u8>> {
    let mut units = match spec.codec {
        VideoCodec::H265 => h265(scene),
        VideoCodec::H264 | VideoCodec::Jpeg => h264(scene),
    };
    let first = match spec.codec {
        VideoCodec::H265 => 1,
        VideoCodec::H264 | VideoCodec::Jpeg => 0,
    };
    let replacement: Option<&[u8]> = match (spec.fault, spec.codec) {
        // 16384 by 16384, and 320 by 192 in the 4:4:4 profile.
        (Some(RtspFault::Gigantic), VideoCodec::H264 | VideoCodec::Jpeg) => {
            Some(&[0x67, 66, 0xC0, 30, 0xDC, 0x00, 0x40, 0x00, 0x02, 0x00, 0x64])
        }
        (Some(RtspFault::Undecodable), VideoCodec::H264 | VideoCodec::Jpeg) => {
            Some(&[0x67, 244, 0, 30, 0x91, 0x97, 0x05, 0x06, 0x64])
        }
        _ => None,
    };
    if let (Some(set), Some(unit)) = (replacement, units.get_mut(first)) {
        *unit = set.to_vec();
    }
    units
}

/// Sends frames; says whether the connection goes on.
async fn play(device: &Device, spec: &RtspSpec, mark: Mark, stream: &mut TcpStream) -> bool {
    if spec.fault == Some(RtspFault::Stalls) {
        return true;
    }
    let mut packets = Packets::new(spec.codec);
    match spec.fault {
        Some(RtspFault::EndlessFrame) => {
            let mut first = true;
            let pieces = || packets.pieces(spec.codec, std::mem::take(&mut first));
            for_ever(device, stream, pieces).await;
            return false;
        }
        Some(RtspFault::EndlessFrames) => {
            let unit = [between(spec.codec), vec![0x55; 1000]].concat();
            let frames = || {
                let frame = |_| packets.units(spec.codec, std::slice::from_ref(&unit));
                (0..50).flat_map(frame).collect()
            };
            for_ever(device, stream, frames).await;
            return false;
        }
        _ => {}
    }
    let scene = Scene::live(mark, device.next_tick()).enlarged(spec.times);
    if spec.codec == VideoCodec::Jpeg {
        let (bytes, scan) = jpeg(&scene);
        let packets = packets.jpeg(bytes.get(scan).unwrap_or_default());
        return stream.write_all(&packets).await.is_ok();
    }
    let between = between(spec.codec);
    for _ in 0..spec.frames_before {
        let packets = packets.units(spec.codec, std::slice::from_ref(&between));
        if stream.write_all(&packets).await.is_err() {
            return false;
        }
    }
    if spec.fault == Some(RtspFault::NoKeyFrame) {
        return true;
    }
    let mut units = units(spec, &scene);
    if spec.sets_described
        && let Some(picture) = units.pop()
    {
        units = vec![picture];
    }
    let bytes = packets.units(spec.codec, &units);
    if spec.fault == Some(RtspFault::BreaksOff) {
        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
        let _ = stream.write_all(half).await;
        return false;
    }
    stream.write_all(&bytes).await.is_ok()
}

/// A unit that is no key frame.
fn between(codec: VideoCodec) -> Vec<u8> {
    match codec {
        VideoCodec::H265 => vec![0x02, 0x01, 0xD0, 0x12, 0x34],
        VideoCodec::H264 | VideoCodec::Jpeg => vec![0x41, 0x9A, 0x12, 0x34],
    }
}

/// Sends on until the client leaves, and counts what it takes.
async fn for_ever(device: &Device, stream: &mut TcpStream, mut next: impl FnMut() -> Vec<u8>) {
    loop {
        let block = next();
        if stream.write_all(&block).await.is_err() {
            return;
        }
        device.count(
            Counter::EndlessBytes,
            u64::try_from(block.len()).unwrap_or(u64::MAX),
        );
    }
}
