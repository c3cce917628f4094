//! Where pictures are decoded: processes of their own, few, and killed when time is up.
//!
//! Whatever a device sends, at most a process is lost: one that hangs is killed, one that breaks or
//! wants more than its limits ([`super::darkroom`]) ends, and the next picture gets a new one. A process
//! that has done its work waits a while for more, so that most pictures cost no start.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::timeout_at;
use tvtfleet_proto::device::picture::{Codec, Look};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::report::Failure;

use super::exchange::{Made, Order};
use super::still::Thumbnail;
use super::worker::{Worker, program};

/// The most processes that decode at a time.
const PLACES_MAX: usize = 4;
/// Time for one picture.
const DECODE: Duration = Duration::from_secs(10);

/// The processes that decode.
#[derive(Clone, Debug)]
pub struct Studio {
    places: Arc<Semaphore>,
    /// Processes that wait for work; never more than places.
    idle: Arc<Mutex<Vec<Worker>>>,
    program: Option<PathBuf>,
}

impl Default for Studio {
    fn default() -> Self {
        Self::new()
    }
}

impl Studio {
    /// As many places as the computer has processors, but few. Nothing is started yet.
    #[must_use]
    pub fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with(program(), processors.clamp(1, PLACES_MAX))
    }

    fn with(program: Option<PathBuf>, places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            idle: Arc::default(),
            program,
        }
    }

    /// Makes a small picture of a JPEG picture; `None` where it cannot be decoded in time.
    pub async fn thumbnail(&self, bytes: &[u8], width: usize, height: usize) -> Option<Thumbnail> {
        let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        let order = Order::Small {
            width: side(width),
            height: side(height),
        };
        match self.run(order, bytes, Instant::now() + DECODE).await {
            Ok(Made::Small(small)) => small,
            Ok(_) | Err(_) => None,
        }
    }

    /// Makes a JPEG picture of a key frame that was checked.
    pub(super) async fn develop(
        &self,
        codec: Codec,
        stream: &[u8],
        bytes_max: usize,
        deadline: Instant,
    ) -> Result<(Vec<u8>, Option<Look>), Failure> {
        let order = Order::Develop {
            codec,
            bytes_max: u32::try_from(bytes_max).unwrap_or(u32::MAX),
        };
        match self.run(order, stream, deadline).await? {
            Made::Picture(jpeg, look) if jpeg.len() <= bytes_max => Ok((jpeg, look)),
            Made::Picture(..) | Made::Small(_) | Made::Seen(_) | Made::Failed(_) => Err(broken()),
        }
    }

    /// Looks at a JPEG picture that was checked; `None` where it cannot be decoded in time.
    pub(super) async fn look(&self, bytes: &[u8], deadline: Instant) -> Option<Look> {
        match self.run(Order::Look, bytes, deadline).await {
            Ok(Made::Seen(look)) => look,
            Ok(_) | Err(_) => None,
        }
    }

    async fn run(&self, order: Order, bytes: &[u8], deadline: Instant) -> Result<Made, Failure> {
        let late = || {
            let text = "the picture could not be decoded in time";
            Failure::new(ErrorCode::PictureDecodeTimeout, text)
        };
        let place = self.places.acquire();
        let Ok(Ok(_place)) = timeout_at(deadline.into(), place).await else {
            return Err(late());
        };
        let end = deadline.min(Instant::now() + DECODE);
        loop {
            let waiting = self.idle().pop();
            let waited = waiting.is_some();
            let mut worker = match waiting {
                Some(worker) => worker,
                None => self.start()?,
            };
            // Cancelled or late, the process goes with its handle.
            match timeout_at(end.into(), worker.carry_out(order, bytes)).await {
                Ok(Ok(made)) => {
                    self.idle().push(worker);
                    return match made {
                        Made::Failed(failure) => Err(failure),
                        Made::Picture(..) | Made::Seen(_) | Made::Small(_) => Ok(made),
                    };
                }
                Ok(Err(_)) => {
                    let status = worker.ended().await;
                    let left = status.is_some_and(|status| status.success());
                    if !(waited && left) {
                        tracing::info!(?status, "a process that decodes is lost");
                        return Err(broken());
                    }
                    // It had waited long enough just before the order came.
                }
                Err(_) => return Err(late()),
            }
        }
    }

    fn start(&self) -> Result<Worker, Failure> {
        let failed = |text: String| Failure::new(ErrorCode::PictureNotDecoded, text);
        let Some(program) = &self.program else {
            let text = "neither tvt-agent nor tvtctl is there to decode";
            return Err(failed(text.to_owned()));
        };
        Worker::start(program)
            .map_err(|error| failed(format!("no process to decode in: {}", error.kind())))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn broken() -> Failure {
    let text = "the decoder broke on the picture";
    Failure::new(ErrorCode::PictureDamaged, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::still::tests::picture;
    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn grey() -> Vec<u8> {
        picture(640, 480, |row, column| {
            [u8::try_from((row * 7 + column * 3) % 250).unwrap(); 3]
        })
    }

    /// The number of the process that waits.
    fn waiting(studio: &Studio) -> u32 {
        let idle = studio.idle();
        assert_eq!(idle.len(), 1);
        idle[0].id().unwrap()
    }

    /// A program that does what a line of shell says.
    fn script(folder: &tempfile::TempDir, text: &str) -> Studio {
        let path = crate::snapshot::ffmpeg::tests::script(folder.path(), text);
        Studio::with(Some(path), 1)
    }

    #[tokio::test]
    async fn a_process_is_used_again_and_is_confined() {
        let studio = Studio::with(program(), 1);
        let look = studio.look(&grey(), later()).await.unwrap();
        assert!(!look.is_black());
        let first = waiting(&studio);
        let small = studio.thumbnail(&grey(), 64, 64).await.unwrap();
        assert_eq!((small.width, small.height), (64, 48));
        assert_eq!(waiting(&studio), first);
        assert_eq!(studio.look(b"<html>", later()).await, None);
        let limits = std::fs::read_to_string(format!("/proc/{first}/limits")).unwrap();
        let most = |name: &str| -> u64 {
            let line = limits.lines().find_map(|line| line.strip_prefix(name));
            let soft = line.unwrap().split_whitespace().next().unwrap();
            soft.parse().unwrap_or_else(|_| panic!("{name}: {soft}"))
        };
        assert!(most("Max address space") < 1024 * 1024 * 1024, "{limits}");
        assert!(most("Max cpu time") <= 13, "{limits}");
        assert_eq!(most("Max core file size"), 0);
        assert_eq!(most("Max file size"), 0);
    }

    #[tokio::test]
    async fn a_picture_that_wants_too_much_memory_costs_a_process_and_no_more() {
        let studio = Studio::with(program(), 1);
        studio.look(&grey(), later()).await.unwrap();
        let first = waiting(&studio);
        let process = Pid::from_raw(i32::try_from(first).unwrap());
        let little = Rlimit {
            current: Some(1024 * 1024),
            maximum: Some(1024 * 1024),
        };
        prlimit(process, Resource::As, little).unwrap();
        let lost = studio.run(Order::Look, &grey(), later()).await.unwrap_err();
        assert_eq!(lost.code, ErrorCode::PictureDamaged);
        assert!(studio.look(&grey(), later()).await.is_some());
        assert_ne!(waiting(&studio), first);
    }

    #[tokio::test]
    async fn a_decoder_that_hangs_is_killed_and_its_place_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let studio = script(&folder, "exec sleep 1000");
        for _ in 0..2 {
            let soon = Instant::now() + Duration::from_millis(50);
            let hung = studio.run(Order::Look, b"x", soon).await.unwrap_err();
            assert_eq!(hung.code, ErrorCode::PictureDecodeTimeout);
        }
        assert_eq!(studio.places.available_permits(), 1);
        assert!(studio.idle().is_empty());
    }

    #[tokio::test]
    async fn what_breaks_or_talks_nonsense_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        for text in [
            "exit 101",
            "kill -ABRT $$",
            "exec cat /dev/zero",
            "exec yes",
        ] {
            let studio = script(&folder, text);
            let broken = studio.run(Order::Look, b"x", later()).await.unwrap_err();
            assert_eq!(broken.code, ErrorCode::PictureDamaged, "{text}");
            assert!(studio.idle().is_empty());
        }
        let none = Studio::with(None, 1).run(Order::Look, b"x", later()).await;
        assert_eq!(none.unwrap_err().code, ErrorCode::PictureNotDecoded);
    }

    #[tokio::test]
    async fn a_process_that_has_left_meanwhile_costs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let gone = crate::snapshot::ffmpeg::tests::script(folder.path(), "exit 0");
        let studio = Studio::with(program(), 1);
        studio.idle().push(Worker::start(&gone).unwrap());
        assert!(studio.look(&grey(), later()).await.is_some());
    }
}
