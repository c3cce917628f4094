//! `tvt-bench snapshots`: pictures per second of one agent, by each way, and the cost of a key frame.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tvt_agent::credentials::FixedCredential;
use tvt_agent::policy::Policy;
use tvt_agent::snapshot::{
    PictureChannel, PictureDevice, PictureEvent, PictureOptions, PictureWork, run_pictures, to_jpeg,
};
use tvt_agent::work::SiteContext;
use tvt_agent::{ProtocolSettings, WebPort, WebSettings};
use tvt_sim::{Mark, Scene};
use tvtfleet_bus::clock::SystemClock;
use tvtfleet_proto::device::picture::{Codec, VideoStream, key_frame, limits};
use tvtfleet_proto::model::address::Endpoint;
use tvtfleet_proto::model::id::{JobId, TargetNo};
use tvtfleet_proto::model::secret::{Credential, Secret};
use tvtfleet_proto::model::want::Target;

use crate::figures::{Figures, Row, real, say};
use crate::process;
use crate::programs::Programs;
use crate::simulator::{PASSWORD, Simulator, USER, generate};

/// Pictures that wait for whoever keeps them.
const WAITING: usize = 2;
/// The most bytes of a picture.
const BYTES_MAX: usize = 2 * 1024 * 1024;
/// Key frames that are decoded for one figure.
const FRAMES: u32 = 40;

/// Measure pictures per second by each way, and key frames against ffmpeg where it is installed
#[derive(Debug, Args)]
pub struct Arguments {
    /// Recorders
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    devices: usize,
    /// Channels of each
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    channels: u32,
    /// Recorders asked at a time
    #[arg(long, value_name = "COUNT", default_value_t = 16)]
    parallel: u32,
    /// Milliseconds before each answer of a recorder
    #[arg(long, value_name = "MS", default_value_t = 5)]
    latency: u64,
}

/// Runs the bench.
///
/// # Errors
///
/// A program cannot be run, or a picture failed.
pub fn run(arguments: &Arguments, programs: &Programs) -> Result<Figures> {
    let scratch = tempfile::tempdir().context("cannot create a temporary folder")?;
    let mut figures = Figures::new(
        "snapshots",
        format!(
            "{} recorders of {} channels, {} at a time, {} ms before each answer; pictures of {}x{}; peak_mib \
             is this process, which keeps no picture; x_ffmpeg is our time to that of an ffmpeg process",
            arguments.devices,
            arguments.channels,
            arguments.parallel,
            arguments.latency,
            Scene::width(),
            Scene::height(),
        ),
    );
    for (way, stream, codec) in [
        ("webapi", None, "h264"),
        ("rtsp h264", Some(VideoStream::Main), "h264"),
        ("rtsp h265", Some(VideoStream::Main), "h265"),
        ("rtsp jpeg", Some(VideoStream::Main), "jpeg"),
    ] {
        say(&format!("pictures by {way}"));
        let row = pictures(arguments, programs, scratch.path(), (way, stream, codec))?;
        figures.rows.push(row);
    }
    frames(&mut figures)?;
    Ok(figures)
}

fn pictures(
    arguments: &Arguments,
    programs: &Programs,
    folder: &Path,
    (way, stream, codec): (&str, Option<VideoStream>, &str),
) -> Result<Row> {
    let program = programs.path("tvt-sim");
    let mut fleet = generate(&program, folder, arguments.devices, arguments.channels)?;
    let (web, rtsp) = (free_port()?, free_port()?);
    for device in &mut fleet {
        let Value::Object(device) = device else {
            bail!("not a recorder")
        };
        device.insert("web".to_owned(), json!({ "port": web }));
        let video = json!({ "port": rtsp, "codec": codec, "frames_before": 1 });
        device.insert("rtsp".to_owned(), video);
        // Every camera is there: one that is away gives no picture.
        if let Some(Value::Array(cameras)) = device.get_mut("cameras") {
            for camera in cameras {
                if let Some(camera) = camera.as_object_mut() {
                    camera.insert("status".to_owned(), 1.into());
                }
            }
        }
    }
    let path = folder.join("fleet.json");
    std::fs::write(&path, serde_json::to_vec(&fleet)?).context("cannot write the fleet")?;
    let latency = Duration::from_millis(arguments.latency);
    let simulator = Simulator::serve(&program, &path, folder, latency)?;
    let devices = targets(simulator.inventory(), arguments.channels)?;
    let expected = devices.len() * usize::try_from(arguments.channels)?;
    let options = PictureOptions {
        stream,
        bytes_max: BYTES_MAX,
        parallel: arguments.parallel,
        picture_deadline: Duration::from_secs(20),
        rtsp_port: Some(rtsp),
        camera: None,
        camera_port: rtsp,
        ffmpeg: None,
        credential: None,
    };
    let own = std::process::id();
    // Forgets the highest memory so far; a kernel without it shows the highest of all.
    let _kept = std::fs::write("/proc/self/clear_refs", "5");
    let (cpu, began) = (process::cpu(own)?, Instant::now());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let work = PictureWork { options, devices };
    let (taken, bytes) = runtime.block_on(take(work, site(web)));
    let (elapsed, cpu) = (began.elapsed(), process::cpu(own)?.saturating_sub(cpu));
    if taken != expected {
        bail!("{way}: {taken} of {expected} pictures");
    }
    let count = real(u64::try_from(taken)?);
    Ok(Row::default()
        .text("way", way)
        .count("pictures", u64::try_from(taken)?)
        .number("per_second", count / elapsed.as_secs_f64(), 1)
        .number("cpu_ms_each", cpu.as_secs_f64() * 1000.0 / count, 2)
        .number("kib_each", real(u64::try_from(bytes)?) / count / 1024.0, 1)
        .mebibytes("peak_mib", process::memory(own, "VmHWM")?))
}

/// Takes all pictures and keeps none. Says how many came, and how many bytes.
async fn take(work: PictureWork, site: Arc<SiteContext>) -> (usize, usize) {
    let (sender, mut events) = mpsc::channel(WAITING);
    let job = JobId::new(uuid::Uuid::new_v4());
    let run = run_pictures(job, work, site, CancellationToken::new(), sender);
    let count = async {
        let (mut taken, mut bytes) = (0, 0);
        while let Some(event) = events.recv().await {
            if let PictureEvent::Taken(one) = event {
                match &one.result {
                    Ok(picture) => {
                        taken += 1;
                        bytes += picture.bytes.len();
                    }
                    Err(failure) => say(&format!("channel {}: {failure}", one.channel)),
                }
            }
        }
        (taken, bytes)
    };
    tokio::join!(run, count).1
}

fn site(web: u16) -> Arc<SiteContext> {
    let credential = Credential {
        username: USER.to_owned(),
        password: Secret::new(PASSWORD),
    };
    let site = SiteContext::new(
        Box::new(FixedCredential(credential)),
        Policy::default(),
        ProtocolSettings::default(),
        Arc::new(SystemClock),
    );
    let web = WebSettings {
        ports: vec![WebPort {
            port: web,
            tls: false,
        }],
        ..WebSettings::default()
    };
    Arc::new(site.with_web(web, Arc::default()))
}

fn targets(inventory: &Path, channels: u32) -> Result<Vec<PictureDevice>> {
    let text = std::fs::read(inventory).context("no inventory")?;
    let entries: Vec<Value> = serde_json::from_slice(&text).context("not an inventory")?;
    (0..)
        .zip(&entries)
        .map(|(number, entry)| {
            let host = entry.get("ip").and_then(Value::as_str);
            let port = entry.get("port").and_then(Value::as_u64);
            Ok(PictureDevice {
                target: Target {
                    number: TargetNo(number),
                    endpoint: Endpoint {
                        host: host.context("no address")?.parse()?,
                        port: u16::try_from(port.context("no port")?)?,
                    },
                    known_mac: None,
                    trusted: true,
                    credential: None,
                    settings: BTreeMap::new(),
                },
                channels: (1..=channels)
                    .map(|number| PictureChannel {
                        number,
                        camera: None,
                    })
                    .collect(),
            })
        })
        .collect()
}

/// Key frames to JPEG here, and by ffmpeg where there is one.
fn frames(figures: &mut Figures) -> Result<()> {
    let mark = Mark {
        device: 1,
        channel: 1,
        stream: 1,
    };
    let scene = Scene::live(mark, 1);
    let ffmpeg = ffmpeg();
    if ffmpeg.is_none() {
        figures.notes.push(
            "ffmpeg is not installed: key frames have nothing to be compared with".to_owned(),
        );
    }
    for (codec, stream) in [(Codec::H264, scene.h264()), (Codec::H265, scene.h265())] {
        let frame = key_frame(codec, &stream).context("the simulator's own key frame")?;
        let began = Instant::now();
        for _ in 0..FRAMES {
            to_jpeg(&frame, &stream, limits::JPEG_BYTES).context("a key frame is not decoded")?;
        }
        let ours = began.elapsed().as_secs_f64() * 1000.0 / f64::from(FRAMES);
        let mut row = Row::default()
            .text("way", format!("{} to JPEG", codec.as_str()))
            .count("pictures", FRAMES.into())
            .number("ms_each", ours, 2);
        if let Some(program) = &ffmpeg {
            let theirs = by_ffmpeg(program, codec, &stream)?;
            row = row.number("x_ffmpeg", ours / theirs, 3);
        }
        figures.rows.push(row);
    }
    Ok(())
}

fn ffmpeg() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut found = std::env::split_paths(&path).map(|folder| folder.join("ffmpeg"));
    found.find(|program| program.is_file())
}

/// Milliseconds of an ffmpeg process for one key frame, on average.
fn by_ffmpeg(program: &Path, codec: Codec, stream: &[u8]) -> Result<f64> {
    use std::io::Write as _;
    let format = match codec {
        Codec::H264 => "h264",
        Codec::H265 => "hevc",
    };
    let began = Instant::now();
    for _ in 0..FRAMES {
        let mut child = Command::new(program)
            .args(["-loglevel", "quiet", "-f", format, "-i", "pipe:0"])
            .args(["-frames:v", "1", "-q:v", "2", "-f", "mjpeg", "pipe:1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start ffmpeg")?;
        let mut stdin = child.stdin.take().context("ffmpeg has no input")?;
        stdin.write_all(stream).context("ffmpeg takes no input")?;
        drop(stdin);
        let made = child.wait_with_output().context("ffmpeg broke")?;
        if made.stdout.is_empty() {
            bail!("ffmpeg made no picture");
        }
    }
    Ok(began.elapsed().as_secs_f64() * 1000.0 / f64::from(FRAMES))
}

/// A port that is free now on the loopback, for the addresses of all recorders.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?.port())
}
