//! The folder of pictures: it is written as pictures come, and its list at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tvt_agent::snapshot::{Picture, PictureDevice, PictureKind, Studio, TakenPicture};
use tvt_coordinator::render::pictures::{
    AttemptRow, CELL_HEIGHT, CELL_WIDTH, Manifest, Names, PictureRow, SCHEMA,
};
use tvtfleet_proto::device::picture::{Flag, Seen};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::report::Failure;

use crate::error::CliError;
use crate::files;
use crate::io::Io;
use crate::pictures::summary;
use crate::progress::Progress;

use super::plan::{Place, Plan};

/// The names of the lists.
const JSON: &str = "manifest.json";
const CSV: &str = "manifest.csv";
/// The largest list that is read, in bytes.
const MANIFEST_MAX: u64 = 256 * 1024 * 1024;
/// Quality of small pictures.
const SMALL_QUALITY: u8 = 75;

/// A channel of a device, over runs.
type Key = (String, u16, u32);

/// Pictures of a run.
pub(super) struct Album {
    folder: PathBuf,
    plan: Plan,
    names: Names,
    /// What the last run left.
    last: BTreeMap<Key, Seen>,
    /// Which channels had these bytes in the last run.
    last_by_digest: BTreeMap<[u8; 32], BTreeSet<Key>>,
    /// Which channel was the first to have them in this one.
    by_digest: BTreeMap<[u8; 32], Key>,
    rows: Vec<PictureRow>,
    /// Small pictures by the place of their row, as JPEG.
    small: Option<BTreeMap<usize, Vec<u8>>>,
    studio: Studio,
    total: u64,
    failures: BTreeMap<String, usize>,
}

impl Album {
    /// Opens a folder, and remembers what the last run left in it.
    pub(super) fn open(
        folder: &Path,
        plan: Plan,
        keep_small: bool,
        progress: &Progress,
        io: &Io,
    ) -> Result<Self, CliError> {
        let path = folder.join(JSON);
        let before = match files::read(&path, MANIFEST_MAX) {
            Ok(bytes) => Manifest::read(&bytes).unwrap_or_else(|error| {
                io.warn(&format!("{}: {error}; nothing is compared", path.display()));
                Manifest::default()
            }),
            Err(error) if error.is_missing() => Manifest::default(),
            Err(error) => {
                let message = format!("cannot read {}", path.display());
                return Err(error.about(ErrorCode::OutputUnwritable, message));
            }
        };
        let mut last = BTreeMap::new();
        let mut last_by_digest: BTreeMap<[u8; 32], BTreeSet<Key>> = BTreeMap::new();
        for row in &before.pictures {
            if let (Some(seen), Some(channel)) = (row.seen(), row.channel) {
                let key = (row.device.clone(), row.port, channel);
                let same = last_by_digest.entry(seen.sha256).or_default();
                same.insert(key.clone());
                last.insert(key, seen);
            }
        }
        let mut album = Self {
            folder: folder.to_owned(),
            names: Names::default(),
            last,
            last_by_digest,
            by_digest: BTreeMap::new(),
            rows: Vec::new(),
            small: keep_small.then(BTreeMap::new),
            studio: Studio::new(),
            total: 0,
            failures: BTreeMap::new(),
            plan,
        };
        album.leave_out(progress);
        Ok(album)
    }

    /// The devices to be asked.
    pub(super) fn devices(&self) -> Vec<PictureDevice> {
        self.plan.devices()
    }

    /// Lists what is not asked: cameras that are away, devices that did not name their channels.
    fn leave_out(&mut self, progress: &Progress) {
        let places = std::mem::take(&mut self.plan.places);
        for place in &places {
            let channels = u64::try_from(place.channels.len()).unwrap_or(u64::MAX);
            self.total = self.total.saturating_add(channels);
            for number in &place.offline {
                progress.step(&format!(
                    "  {} ch{number}: OFFLINE - skipped",
                    place.endpoint.host
                ));
                let row = place.row(Some(*number));
                self.rows.push(PictureRow {
                    state: "offline".to_owned(),
                    error_code: ErrorCode::PictureOffline.to_string(),
                    error: "the camera is away".to_owned(),
                    ..row
                });
            }
            if let Some((code, text)) = &place.failure {
                progress.step(&format!(
                    "  {}: FAILED: {text} [{code}]",
                    place.endpoint.host
                ));
                let row = place.row(None);
                self.fail(row, &Failure::new(*code, text.clone()));
            }
        }
        self.plan.places = places;
    }

    /// Keeps a picture.
    ///
    /// # Errors
    ///
    /// `storage.full`, `output.unwritable`: nothing more can be kept.
    pub(super) async fn take(
        &mut self,
        taken: TakenPicture,
        elapsed: Duration,
        progress: &Progress,
    ) -> Result<(), CliError> {
        let place = usize::try_from(taken.target.0)
            .ok()
            .and_then(|place| self.plan.places.get(place));
        let Some(place) = place.cloned() else {
            return Ok(());
        };
        let mut row = place.row(Some(taken.channel));
        row.attempts = taken
            .attempts
            .iter()
            .map(|attempt| AttemptRow {
                way: attempt.way.to_string(),
                milliseconds: u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
                bytes: attempt.bytes,
                error_code: attempt
                    .code
                    .map(|code| code.to_string())
                    .unwrap_or_default(),
            })
            .collect();
        let who = format!("  {}", row.shown_channel());
        match taken.result {
            Ok(picture) => {
                row.time = taken.taken_at.to_string();
                self.keep(&mut row, &place, picture).await?;
                progress.step(&format!(
                    "{who}: saved -> {} ({} bytes)",
                    row.file, row.bytes
                ));
                self.rows.push(row);
            }
            Err(failure) => {
                progress.step(&format!("{who}: FAILED: {failure} [{}]", failure.code));
                self.fail(row, &failure);
            }
        }
        let done = self.count("taken").saturating_add(self.asked_in_vain());
        let done = u64::try_from(done).unwrap_or(u64::MAX);
        progress.pictures(done, self.total, self.summary(elapsed));
        Ok(())
    }

    async fn keep(
        &mut self,
        row: &mut PictureRow,
        place: &Place,
        picture: Picture,
    ) -> Result<(), CliError> {
        let (ending, raw) = match picture.kind {
            PictureKind::Jpeg => ("jpg", false),
            PictureKind::Raw(codec) => (codec.as_str(), true),
        };
        let channel = row.channel.map(|channel| format!("ch{channel}"));
        let parts = [
            row.site.as_str(),
            row.device.as_str(),
            channel.as_deref().unwrap_or_default(),
            row.name.as_str(),
        ];
        row.file = self.names.next(&parts, ending);
        let path = self.folder.join(&row.file);
        files::write(&path, |out| out.write_all(&picture.bytes))?;
        "taken".clone_into(&mut row.state);
        row.way = picture.way.to_string();
        row.stream = picture
            .stream
            .map(|stream| stream.to_string())
            .unwrap_or_default();
        row.format = if raw {
            ending.to_owned()
        } else {
            "jpeg".to_owned()
        };
        row.bytes = picture.bytes.len();
        (row.width, row.height) = (picture.width, picture.height);
        row.sha256 = picture
            .sha256
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        row.look = picture
            .look
            .as_ref()
            .map(|look| look.to_text())
            .unwrap_or_default();
        let key = (
            row.device.clone(),
            place.endpoint.port,
            row.channel.unwrap_or(0),
        );
        row.flags = self.flags(&picture, row, &key);
        if let (Some(small), false) = (&mut self.small, raw) {
            let bytes = picture.bytes;
            let made = self.studio.thumbnail(&bytes, CELL_WIDTH, CELL_HEIGHT).await;
            if let Some(bytes) = made.and_then(|small| small.to_jpeg(SMALL_QUALITY)) {
                small.insert(self.rows.len(), bytes);
            }
        }
        Ok(())
    }

    fn flags(&mut self, picture: &Picture, row: &PictureRow, key: &Key) -> Vec<String> {
        let mut flags = match row.seen() {
            Some(seen) => seen.flags(self.last.get(key)),
            None => Vec::new(),
        };
        let before = self.last_by_digest.get(&picture.sha256);
        let was_others = before.is_some_and(|keys| !keys.contains(key));
        let first = self.by_digest.entry(picture.sha256);
        if first.or_insert_with(|| key.clone()) != key || was_others {
            flags.push(Flag::MaybeSwapped);
        }
        flags.extend(picture.degraded.then_some(Flag::Degraded));
        flags.extend(matches!(picture.kind, PictureKind::Raw(_)).then_some(Flag::Raw));
        flags.iter().map(ToString::to_string).collect()
    }

    fn fail(&mut self, row: PictureRow, failure: &Failure) {
        let code = failure.code.to_string();
        let count = self.failures.entry(code.clone()).or_default();
        *count = count.saturating_add(1);
        self.rows.push(PictureRow {
            state: "failed".to_owned(),
            error_code: code,
            error: failure.text.clone(),
            ..row
        });
    }

    fn count(&self, state: &str) -> usize {
        self.rows.iter().filter(|row| row.state == state).count()
    }

    /// Channels that were asked and gave no picture.
    fn asked_in_vain(&self) -> usize {
        let failed = |row: &&PictureRow| row.state == "failed" && row.channel.is_some();
        self.rows.iter().filter(failed).count()
    }

    /// How far it is, at which rate, and what failed.
    fn summary(&self, elapsed: Duration) -> String {
        summary(
            self.count("taken"),
            self.count("offline"),
            &self.failures,
            elapsed,
        )
    }

    /// Writes the lists, in the order of devices and channels.
    ///
    /// # Errors
    ///
    /// `storage.full`, `output.unwritable`.
    pub(super) fn close(&mut self, elapsed: Duration, io: &Io) -> Result<Manifest, CliError> {
        let summary = self.summary(elapsed);
        io.note(&format!(
            "Done: {}/{} snapshots captured; {summary}",
            self.count("taken"),
            self.total
        ));
        self.sort();
        let manifest = Manifest {
            schema: SCHEMA,
            finished: io.clock.now().to_string(),
            channels: self.rows.iter().filter(|row| row.channel.is_some()).count(),
            taken: self.count("taken"),
            offline: self.count("offline"),
            failed: self.count("failed"),
            pictures: self.rows.clone(),
        };
        files::write(&self.folder.join(JSON), |out| manifest.write_json(out))?;
        files::write(&self.folder.join(CSV), |out| manifest.write_csv(out))?;
        Ok(manifest)
    }

    /// Brings rows into the order of site, device and channel, and the small pictures with them.
    fn sort(&mut self) {
        let mut small = self.small.take();
        let mut together: Vec<(PictureRow, Option<Vec<u8>>)> = std::mem::take(&mut self.rows)
            .into_iter()
            .enumerate()
            .map(|(place, row)| {
                let picture = small.as_mut().and_then(|small| small.remove(&place));
                (row, picture)
            })
            .collect();
        together.sort_by(|(a, _), (b, _)| {
            let key =
                |row: &PictureRow| (row.site.clone(), row.device.clone(), row.port, row.channel);
            key(a).cmp(&key(b))
        });
        let mut sorted = BTreeMap::new();
        for (place, (row, picture)) in together.into_iter().enumerate() {
            self.rows.push(row);
            if let Some(picture) = picture {
                sorted.insert(place, picture);
            }
        }
        self.small = small.map(|_| sorted);
    }

    /// The small picture of a row, as JPEG.
    pub(super) fn small(&self, place: usize) -> Option<&[u8]> {
        self.small.as_ref()?.get(&place).map(Vec::as_slice)
    }
}

impl Place {
    fn row(&self, channel: Option<u32>) -> PictureRow {
        let name = channel.and_then(|channel| self.names.get(&channel));
        PictureRow {
            site: self.entry.site_label.clone(),
            device: self.endpoint.host.to_string(),
            port: self.endpoint.port,
            hostname: self.entry.hostname.clone(),
            channel,
            name: name.cloned().unwrap_or_default(),
            ..PictureRow::default()
        }
    }
}
