//! Brings the pictures of a job into a folder, as the coordinator gets them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tvt_agent::snapshot::Studio;
use tvt_coordinator::render::pictures::{
    CELL_HEIGHT, CELL_WIDTH, Manifest, Names, PictureRow, SCHEMA,
};
use tvtfleet_proto::device::picture::Flag;
use tvtfleet_proto::error::{ErrorCode, ExitStatus};
use tvtfleet_proto::model::answer::{Answer, PictureTaken};
use tvtfleet_proto::model::api::{ResultRow, RowOutcome};
use tvtfleet_proto::model::id::JobId;
use tvtfleet_proto::model::picture::{ListPictures, PictureView};
use tvtfleet_proto::model::time::UtcMillis;

use super::row::Shown;
use super::{sheet, summary};
use crate::config;
use crate::error::CliError;
use crate::exit::Outcome;
use crate::files;
use crate::io::Io;
use crate::output::{self, Format};
use crate::progress::Progress;
use crate::server::Server;

/// The time between two looks at what has arrived.
const LOOK: Duration = Duration::from_millis(500);
/// Quality of small pictures.
const SMALL_QUALITY: u8 = 75;
/// The names of the lists.
const JSON: &str = "manifest.json";
const CSV: &str = "manifest.csv";

/// Where pictures go, and how long they are waited for.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Pictures")]
pub(crate) struct GatherArgs {
    /// Folder of the pictures; it is made where it is not there
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Write a contact sheet, one part or file a site: .html or .jpg
    #[arg(long, value_name = "FILE", requires = "output")]
    sheet: Option<PathBuf>,
    /// Give up on pictures that are still on their way once none has arrived for this long
    #[arg(long, value_name = "TIME", value_parser = config::duration, default_value = "2m")]
    wait: Duration,
    /// How to write the list to stdout
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl GatherArgs {
    /// Whether a folder is named.
    pub(crate) const fn has_folder(&self) -> bool {
        self.output.is_some()
    }

    /// Finds out whether everything can be written, before anything is asked.
    ///
    /// # Errors
    ///
    /// `usage.invalid`, `output.unwritable`.
    pub(crate) fn prepare(&self, io: &Io) -> Result<(), CliError> {
        if let Some(folder) = &self.output {
            files::prepare_folder(&io.resolve(folder))?;
        }
        if let Some(path) = self.sheet.as_ref().map(|path| io.resolve(path)) {
            sheet::check_name(&path)?;
            files::check_writable(&path)?;
        }
        Ok(())
    }
}

/// Brings the pictures of a job into the folder, writes the lists and the sheet, and shows the list.
///
/// # Errors
///
/// `storage.full`, `output.unwritable`; the coordinator cannot be asked.
pub(crate) async fn gather(
    server: &Server,
    job: JobId,
    results: &[ResultRow],
    args: &GatherArgs,
    quiet: bool,
    io: &mut Io,
) -> Outcome {
    let folder = args.output.as_ref().map(|folder| io.resolve(folder));
    let mut album = FleetAlbum::of(results, folder, args.sheet.is_some());
    let began = Instant::now();
    let progress = Progress::new(io, quiet, 0);
    let arrived = album.fetch(server, job, args.wait, &progress, io).await;
    progress.finish();
    // What came until then is listed, whatever happened.
    let manifest = album.close(began.elapsed(), io)?;
    arrived?;
    if let (Some(path), Some(folder)) = (&args.sheet, &album.folder) {
        let small = |place: usize| album.small.get(&place).map(Vec::as_slice);
        sheet::write(&io.resolve(path), folder, &manifest, small).await?;
    }
    let rows: Vec<Shown> = manifest.pictures.iter().map(Shown::of).collect();
    output::list(io, args.format, &rows)?;
    if io.interrupt.is_cancelled() {
        let text = "interrupted; the pictures that came until then are kept and listed";
        let hint = format!("tvtctl jobs pictures {job} -o DIR fetches them all");
        return Err(CliError::new(ErrorCode::Interrupted, text)
            .hint(hint)
            .into());
    }
    Ok(if manifest.failed > 0 {
        ExitStatus::SomeFailed
    } else {
        ExitStatus::Success
    })
}

/// The pictures of a job, and where they go.
struct FleetAlbum {
    folder: Option<PathBuf>,
    rows: Vec<PictureRow>,
    /// Rows whose picture has not come, by device and channel.
    open: BTreeMap<(String, u32), usize>,
    names: Names,
    /// Small pictures by the place of their row, as JPEG; none where no sheet is wanted.
    small: BTreeMap<usize, Vec<u8>>,
    keep_small: bool,
    studio: Studio,
}

impl FleetAlbum {
    fn of(results: &[ResultRow], folder: Option<PathBuf>, keep_small: bool) -> Self {
        let mut together: Vec<(String, PictureRow)> = Vec::new();
        for result in results {
            let id = &result.device_id;
            let rows = rows_of(result);
            together.extend(rows.into_iter().map(|row| (id.clone(), row)));
        }
        together.sort_by(|(_, a), (_, b)| {
            let key =
                |row: &PictureRow| (row.site.clone(), row.device.clone(), row.port, row.channel);
            key(a).cmp(&key(b))
        });
        let mut open = BTreeMap::new();
        for (place, (id, row)) in together.iter().enumerate() {
            if let (Some(channel), "taken") = (row.channel, row.state.as_str()) {
                open.insert((id.clone(), channel), place);
            }
        }
        Self {
            folder,
            rows: together.into_iter().map(|(_, row)| row).collect(),
            open,
            names: Names::default(),
            small: BTreeMap::new(),
            keep_small,
            studio: Studio::new(),
        }
    }

    /// Fetches pictures until all are there, or none has come for `wait`.
    async fn fetch(
        &mut self,
        server: &Server,
        job: JobId,
        wait: Duration,
        progress: &Progress,
        io: &Io,
    ) -> Result<(), CliError> {
        let total = u64::try_from(self.open.len()).unwrap_or(u64::MAX);
        let (began, mut moved) = (Instant::now(), Instant::now());
        let mut first = true;
        while !self.open.is_empty() && !io.interrupt.is_cancelled() {
            let request = ListPictures {
                job: Some(job),
                ..ListPictures::default()
            };
            let mut views = server.pictures(request).await?;
            // The order of the list, and not of arrival, so that names do not depend on it.
            views.sort_by_key(|view| self.place_of(view));
            for view in views {
                let Some(place) = self.place_of(&view) else {
                    continue;
                };
                if first {
                    self.describe(place, &view.picture);
                }
                let dropped = Flag::Dropped.as_str();
                if !view.stored && view.picture.flags.iter().any(|flag| flag == dropped) {
                    self.lose(place);
                    self.open.remove(&key_of(&view));
                    continue;
                }
                if !view.stored || io.interrupt.is_cancelled() {
                    continue;
                }
                if self.folder.is_some() {
                    let bytes = server.picture(&view).await?;
                    self.keep(place, bytes, progress).await?;
                }
                self.open.remove(&key_of(&view));
                moved = Instant::now();
                let done = total.saturating_sub(u64::try_from(self.open.len()).unwrap_or(0));
                progress.pictures(done, total, self.summary(began.elapsed()));
            }
            first = false;
            if moved.elapsed() >= wait {
                break;
            }
            if !self.open.is_empty() {
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    () = io.interrupt.cancelled() => {}
                }
            }
        }
        for place in std::mem::take(&mut self.open).into_values() {
            if let Some(row) = self.rows.get_mut(place) {
                "failed".clone_into(&mut row.state);
                row.error_code = ErrorCode::PictureWaiting.to_string();
                "it was taken and has not arrived".clone_into(&mut row.error);
            }
        }
        Ok(())
    }

    /// Lists a picture that will not come.
    fn lose(&mut self, place: usize) {
        if let Some(row) = self.rows.get_mut(place) {
            "failed".clone_into(&mut row.state);
            row.error_code = ErrorCode::PictureNotKept.to_string();
            "the site had to let it go before it was sent".clone_into(&mut row.error);
            row.flags = vec![Flag::Dropped.to_string()];
        }
    }

    fn place_of(&self, view: &PictureView) -> Option<usize> {
        self.open.get(&key_of(view)).copied()
    }

    /// Takes over what only the coordinator knows: doubts that earlier pictures cast.
    fn describe(&mut self, place: usize, picture: &PictureTaken) {
        if let Some(row) = self.rows.get_mut(place) {
            row.flags.clone_from(&picture.flags);
        }
    }

    async fn keep(
        &mut self,
        place: usize,
        bytes: Vec<u8>,
        progress: &Progress,
    ) -> Result<(), CliError> {
        let (Some(row), Some(folder)) = (self.rows.get_mut(place), &self.folder) else {
            return Ok(());
        };
        let channel = row.channel.map(|channel| format!("ch{channel}"));
        let parts = [
            row.site.as_str(),
            row.device.as_str(),
            channel.as_deref().unwrap_or_default(),
            row.name.as_str(),
        ];
        let raw = matches!(row.format.as_str(), "h264" | "h265");
        let ending = if raw { row.format.as_str() } else { "jpg" };
        row.file = self.names.next(&parts, ending);
        row.bytes = bytes.len();
        files::write(&folder.join(&row.file), |out| out.write_all(&bytes))?;
        progress.step(&format!(
            "  {}: saved -> {} ({} bytes)",
            row.shown_channel(),
            row.file,
            row.bytes
        ));
        if self.keep_small && !raw {
            let made = self.studio.thumbnail(&bytes, CELL_WIDTH, CELL_HEIGHT).await;
            if let Some(bytes) = made.and_then(|small| small.to_jpeg(SMALL_QUALITY)) {
                self.small.insert(place, bytes);
            }
        }
        Ok(())
    }

    fn count(&self, state: &str) -> usize {
        self.rows.iter().filter(|row| row.state == state).count()
    }

    fn summary(&self, elapsed: Duration) -> String {
        let taken = self.count("taken").saturating_sub(self.open.len());
        let mut failures: BTreeMap<String, usize> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| row.state == "failed") {
            let count = failures.entry(row.error_code.clone()).or_default();
            *count = count.saturating_add(1);
        }
        summary(taken, self.count("offline"), &failures, elapsed)
    }

    fn close(&mut self, elapsed: Duration, io: &Io) -> Result<Manifest, CliError> {
        let asked = |row: &&PictureRow| row.channel.is_some() && row.state != "offline";
        io.note(&format!(
            "Done: {}/{} snapshots captured; {}",
            self.count("taken"),
            self.rows.iter().filter(asked).count(),
            self.summary(elapsed)
        ));
        let manifest = Manifest {
            schema: SCHEMA,
            finished: io.clock.now().to_string(),
            channels: self.rows.iter().filter(|row| row.channel.is_some()).count(),
            taken: self.count("taken"),
            offline: self.count("offline"),
            failed: self.count("failed"),
            pictures: self.rows.clone(),
        };
        if let Some(folder) = &self.folder {
            write_lists(folder, &manifest)?;
        }
        Ok(manifest)
    }
}

fn write_lists(folder: &Path, manifest: &Manifest) -> Result<(), CliError> {
    files::write(&folder.join(JSON), |out| manifest.write_json(out))?;
    files::write(&folder.join(CSV), |out| manifest.write_csv(out))?;
    Ok(())
}

fn key_of(view: &PictureView) -> (String, u32) {
    let channel = view.picture.channel.unwrap_or(0);
    (view.device_id.clone(), channel)
}

/// The channels of a device of the job; one row without a channel where there are none.
fn rows_of(result: &ResultRow) -> Vec<PictureRow> {
    let base = PictureRow {
        site: result.site_label.clone(),
        device: result.entry.host.to_string(),
        port: result.port,
        hostname: result.entry.hostname.clone(),
        ..PictureRow::default()
    };
    let failed = |code: ErrorCode, text: &str| PictureRow {
        state: "failed".to_owned(),
        error_code: code.to_string(),
        error: text.to_owned(),
        ..base.clone()
    };
    match &result.outcome {
        RowOutcome::Missing { code, .. } => vec![failed(*code, "the device was not asked")],
        RowOutcome::Reported(report) => match (&report.answer, &report.failure) {
            (Some(Answer::Pictures(pictures)), _) if !pictures.is_empty() => {
                pictures.iter().map(|one| row_of(&base, one)).collect()
            }
            (_, Some(failure)) => vec![failed(failure.code, &failure.text)],
            (_, None) => Vec::new(),
        },
    }
}

fn row_of(base: &PictureRow, picture: &PictureTaken) -> PictureRow {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let time = picture.taken_at_ms.map(UtcMillis::new);
    PictureRow {
        channel: picture.channel,
        name: text(&picture.name),
        state: text(&picture.state),
        time: time.map(|time| time.to_string()).unwrap_or_default(),
        way: text(&picture.way),
        stream: text(&picture.stream),
        format: text(&picture.format),
        bytes: picture
            .bytes
            .map_or(0, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        width: picture.width.unwrap_or(0),
        height: picture.height.unwrap_or(0),
        sha256: text(&picture.sha256),
        flags: picture.flags.clone(),
        error_code: text(&picture.error_code),
        error: text(&picture.error),
        look: text(&picture.look),
        ..base.clone()
    }
}
