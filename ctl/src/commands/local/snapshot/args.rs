//! The command: what it takes, and the order in which things are done.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tvt_agent::snapshot::{CameraLogin, PictureEvent, PictureOptions, PictureWork, run_pictures};
use tvt_agent::{WebPort, WebSettings};
use tvt_coordinator::inventory::file::ReadOptions;
use tvtfleet_proto::device::picture::{VideoStream, limits};
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::address::Host;
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::inventory::InventoryEntry;
use tvtfleet_proto::model::secret::Credential;

use crate::config::{self, LocalArgs, LocalSettings};
use crate::error::CliError;
use crate::exit::Outcome;
use crate::files;
use crate::id;
use crate::inventory;
use crate::io::Io;
use crate::output::{self, Format};
use crate::pictures::{Shown, sheet};
use crate::progress::Progress;

use super::album::Album;
use super::plan::{Plan, Wanted};
use crate::commands::local::run;

/// Pictures that wait to be written; the work waits when there are more.
const PICTURES_WAITING: usize = 2;
/// Mebibyte.
const MIB: usize = 1024 * 1024;

/// Arguments of `tvtctl local snapshot`.
#[derive(Debug, clap::Args)]
#[command(
    infer_long_args = true,
    after_help = "\
Ways to a picture: a still of the device's web API, then one of the vendor's library where it is
configured, then a key frame over RTSP; with --stream main the key frame comes first. Every
picture is checked. DIR gets the pictures, manifest.json and
manifest.csv. Doubts are flags: maybe_stale (the same bytes as in DIR's last manifest), maybe_swapped
(the same bytes as another channel), black, uniform, frozen, degraded (smaller than asked for), raw (a
key frame that is not decoded here, kept as .h264 or .h265). The exit code is 1 where a picture failed;
channels whose camera is away are left out and counted.

Examples:
  tvtctl local snapshot --ip 10.0.0.9 --channel 3 -o pictures --password-file secret
  tvtctl local snapshot devices.json --all-channels -o pictures --sheet pictures.html
  tvtctl local snapshot --from-json results.json --all-channels --stream main -o pictures
  tvtctl local snapshot --ip 10.0.0.9 --all-channels --rtsp-url"
)]
pub(crate) struct Args {
    /// Inventory files in pytvt's format
    #[arg(value_name = "INVENTORY", required_unless_present_any = ["ip", "from_json"])]
    inventories: Vec<PathBuf>,
    /// One device
    #[arg(long, value_name = "HOST", conflicts_with_all = ["inventories", "from_json"])]
    ip: Option<Host>,
    /// An inventory or a result file, as pytvt takes it; may be repeated
    #[arg(long, value_name = "FILE", conflicts_with = "inventories")]
    from_json: Vec<PathBuf>,
    /// Only devices whose site contains this text; upper and lower case are the same
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    site: String,
    /// One channel, from 1, as the recorder shows it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    channel: u32,
    /// Every channel whose camera is there
    #[arg(long, conflicts_with = "channel")]
    all_channels: bool,
    /// Folder of the pictures; it is made where it is not there
    #[arg(short, long, value_name = "DIR", required_unless_present = "rtsp_url")]
    output: Option<PathBuf>,
    /// Write a contact sheet, one part or file a site: .html or .jpg
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// Print the addresses of the video, without passwords, and take no picture
    #[arg(long)]
    rtsp_url: bool,
    /// Stream: main, sub, third or fourth, or pytvt's number from 0; else whatever is quickest
    #[arg(long, visible_alias = "stream-type", value_name = "STREAM")]
    stream: Option<VideoStream>,
    /// Ask the cameras themselves, with this password of theirs, from the first line of a file
    #[arg(long, value_name = "FILE")]
    camera_password_file: Option<PathBuf>,
    /// User name on the cameras
    #[arg(
        long,
        value_name = "NAME",
        default_value = "admin",
        requires = "camera_password_file"
    )]
    camera_username: String,
    /// RTSP port of recorders [default: as the device says, else 554]
    #[arg(long, value_name = "PORT", value_parser = config::port)]
    rtsp_port: Option<u16>,
    /// RTSP port of cameras
    #[arg(long, value_name = "PORT", value_parser = config::port, default_value_t = 554)]
    camera_port: u16,
    /// Port of the web API; may be repeated, PORT/tls speaks TLS [default: 443/tls, 80, 8080]
    #[arg(long, value_name = "PORT", value_parser = web_port)]
    web_port: Vec<WebPort>,
    /// Time allowed for one picture
    #[arg(long, value_name = "TIME", value_parser = config::duration, default_value = "20s")]
    picture_timeout: Duration,
    /// The largest picture, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=25))]
    max_size: u8,
    /// Decode with this ffmpeg what is not decoded here; it gets key frames, never an address
    #[arg(long, value_name = "PATH")]
    ffmpeg: Option<PathBuf>,
    /// A word of pytvt without effect: no bridge is asked
    #[arg(long, hide = true)]
    direct: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// How to write the list to stdout
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    devices: LocalArgs,
}

impl Args {
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        if self.direct {
            io.note("--direct has no effect: devices are always asked directly");
        }
        let settings = self.devices.settle(io)?;
        let camera = self.camera(io)?;
        let sheet = self.sheet.as_ref().map(|path| io.resolve(path));
        if let Some(path) = &sheet {
            sheet::check_name(path)?;
        }
        let folder = match &self.output {
            Some(folder) if !self.rtsp_url => {
                let folder = io.resolve(folder);
                files::prepare_folder(&folder)?;
                Some(folder)
            }
            Some(_) | None => None,
        };
        if let Some(path) = &sheet {
            files::check_writable(path)?;
        }
        let (entries, unusable) = self.entries(&settings, io)?;
        let site = Arc::new(run::site(&settings, io).with_web(self.web(), Arc::default()));
        let job = JobId::new(id::fresh(&*io.clock));
        let total = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let progress = Progress::new(io, self.quiet, total);
        let wanted = if self.all_channels {
            Wanted::All
        } else {
            Wanted::One(self.channel)
        };
        let plan = if wanted == Wanted::All || camera.is_some() {
            let devices = run::Devices {
                entries: &entries,
                unverified: &Default::default(),
            };
            let (rows, _) = run::scan_at(
                Arc::clone(&site),
                job,
                &devices,
                tvtfleet_proto::model::backend::BackendChoice::Auto,
                &settings,
                &progress,
                io,
            )
            .await;
            Plan::of_scan(&rows, wanted)
        } else {
            Plan::unscanned(&entries, settings.port.value, self.channel)
        };
        let Some(folder) = folder else {
            progress.finish();
            return plan.show_addresses(self.stream, self.rtsp_port, io);
        };
        let keep_small = sheet.is_some();
        let mut album = Album::open(&folder, plan, keep_small, &progress, io)?;
        let work = PictureWork {
            options: self.options(&settings, camera),
            devices: album.devices(),
        };
        let began = Instant::now();
        let (sender, mut events) = mpsc::channel(PICTURES_WAITING);
        let cancel = io.interrupt.child_token();
        let taking = run_pictures(job, work, site, cancel.clone(), sender);
        let collect = async {
            let mut trouble: Option<CliError> = None;
            while let Some(event) = events.recv().await {
                let PictureEvent::Taken(taken) = event else {
                    continue;
                };
                if trouble.is_some() {
                    continue;
                }
                let kept = album.take(*taken, began.elapsed(), &progress).await;
                if let Err(error) = kept {
                    // Nothing more can be kept, so nothing more is asked of the devices.
                    trouble = Some(error);
                    cancel.cancel();
                }
            }
            trouble
        };
        let ((), trouble) = tokio::join!(taking, collect);
        progress.finish();
        let manifest = album.close(began.elapsed(), io);
        if let Some(error) = trouble {
            return Err(error.into());
        }
        let manifest = manifest?;
        if let Some(path) = &sheet {
            let small = |place: usize| album.small(place);
            sheet::write(path, &folder, &manifest, small).await?;
        }
        let rows: Vec<Shown> = manifest.pictures.iter().map(Shown::of).collect();
        output::list(io, self.format, &rows)?;
        if io.interrupt.is_cancelled() {
            let text = "interrupted; the pictures taken until then are kept and listed";
            return Err(CliError::new(ErrorCode::Interrupted, text).into());
        }
        Ok(if manifest.failed > 0 || unusable > 0 {
            ExitStatus::SomeFailed
        } else {
            ExitStatus::Success
        })
    }

    /// The devices, and how many entries cannot be used.
    fn entries(
        &self,
        settings: &LocalSettings,
        io: &Io,
    ) -> Result<(Vec<InventoryEntry>, usize), CliError> {
        if let Some(host) = &self.ip {
            return Ok((vec![InventoryEntry::bare(host.clone())], 0));
        }
        let options = ReadOptions {
            include_all: false,
            default_port: settings.port.value,
        };
        let paths: Vec<PathBuf> = [&self.inventories[..], &self.from_json[..]].concat();
        let inventory = inventory::read(&paths, &options, io)?;
        let filter = self.site.to_lowercase();
        let entries: Vec<InventoryEntry> = inventory
            .entries
            .into_iter()
            .filter(|entry| entry.site_label.to_lowercase().contains(&filter))
            .collect();
        if entries.is_empty() {
            let text = "the inventory names no TVT device of this site";
            return Err(CliError::new(ErrorCode::JobNoTargets, text));
        }
        Ok((entries, inventory.unusable))
    }

    fn camera(&self, io: &Io) -> Result<Option<Credential>, CliError> {
        let Some(path) = &self.camera_password_file else {
            return Ok(None);
        };
        Ok(Some(Credential {
            username: self.camera_username.clone(),
            password: config::read_password(&io.resolve(path))?,
        }))
    }

    fn web(&self) -> WebSettings {
        let usual = WebSettings::default();
        if self.web_port.is_empty() {
            return usual;
        }
        WebSettings {
            ports: self.web_port.clone(),
            ..usual
        }
    }

    fn options(&self, settings: &LocalSettings, camera: Option<Credential>) -> PictureOptions {
        PictureOptions {
            stream: self.stream,
            bytes_max: (usize::from(self.max_size) * MIB).min(limits::JPEG_BYTES),
            parallel: settings.concurrency.value,
            picture_deadline: self.picture_timeout,
            rtsp_port: self.rtsp_port,
            camera: camera.map(CameraLogin::Given),
            camera_port: self.camera_port,
            ffmpeg: self.ffmpeg.clone(),
            credential: None,
        }
    }
}

/// Reads `PORT` or `PORT/tls`.
fn web_port(text: &str) -> Result<WebPort, String> {
    let (number, tls) = match text.strip_suffix("/tls") {
        Some(number) => (number, true),
        None => (text, false),
    };
    config::port(number).map(|port| WebPort { port, tls })
}
