//! Where pictures are decoded: threads of their own, few, and given up on in time.
//!
//! A decoder that does not come back cannot be stopped. It keeps its place, so that at most as many
//! threads hang as there are places; after that nothing is decoded any more and key frames are kept as
//! they came.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout_at;
use tvtfleet_proto::device::picture::{Jpeg, KeyFrame, Look};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::report::Failure;

use super::decode::to_jpeg;
use super::still::look;

/// The most threads that decode at a time.
const PLACES_MAX: usize = 4;
/// Time for one picture.
const DECODE: Duration = Duration::from_secs(10);
/// The stack of a thread that decodes.
const STACK: usize = 8 * 1024 * 1024;

/// The threads that decode.
#[derive(Clone, Debug)]
pub(crate) struct Studio {
    places: Arc<Semaphore>,
}

impl Studio {
    /// As many places as the computer has processors, but few.
    pub(crate) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            places: Arc::new(Semaphore::new(processors.clamp(1, PLACES_MAX))),
        }
    }

    /// Makes a JPEG picture of a key frame that was checked.
    pub(super) async fn develop(
        &self,
        frame: KeyFrame,
        stream: Arc<Vec<u8>>,
        bytes_max: usize,
        deadline: Instant,
    ) -> Result<(Vec<u8>, Option<Look>), Failure> {
        let work = move || to_jpeg(&frame, &stream, bytes_max);
        let made = self.run(work, deadline).await?;
        made.map_err(|error| Failure::new(error.code(), error.to_string()))
    }

    /// Looks at a JPEG picture that was checked; `None` where it cannot be decoded in time.
    pub(super) async fn look(
        &self,
        jpeg: Jpeg,
        bytes: Arc<Vec<u8>>,
        deadline: Instant,
    ) -> Option<Look> {
        let seen = self.run(move || look(&jpeg, &bytes), deadline).await;
        seen.ok().flatten()
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
        deadline: Instant,
    ) -> Result<T, Failure> {
        let late = || {
            let text = "the picture could not be decoded in time";
            Failure::new(ErrorCode::PictureDecodeTimeout, text)
        };
        let place = Arc::clone(&self.places).acquire_owned();
        let Ok(Ok(place)) = timeout_at(deadline.into(), place).await else {
            return Err(late());
        };
        let (sender, receiver) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("picture".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                // A decoder may break on what a device sends; its thread is all that is lost.
                let result = catch_unwind(AssertUnwindSafe(work));
                drop(place);
                let _unheard = sender.send(result);
            });
        if thread.is_err() {
            return Err(Failure::new(ErrorCode::Internal, "no thread to decode on"));
        }
        let end = deadline.min(Instant::now() + DECODE);
        match timeout_at(end.into(), receiver).await {
            Ok(Ok(Ok(done))) => Ok(done),
            Ok(Ok(Err(_)) | Err(_)) => Err(Failure::new(
                ErrorCode::PictureDamaged,
                "the decoder broke on the picture",
            )),
            Err(_) => Err(late()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_decoder_that_hangs_is_left_behind_with_its_place() {
        let studio = Studio {
            places: Arc::new(Semaphore::new(1)),
        };
        let (release, held) = std::sync::mpsc::sync_channel::<()>(1);
        let soon = Instant::now() + Duration::from_millis(50);
        let hung = studio.run(move || held.recv().is_ok(), soon).await;
        assert_eq!(hung.unwrap_err().code, ErrorCode::PictureDecodeTimeout);
        let soon = Instant::now() + Duration::from_millis(50);
        let waiting = studio.run(|| 1, soon).await;
        assert_eq!(waiting.unwrap_err().code, ErrorCode::PictureDecodeTimeout);
        release.send(()).unwrap();
        let later = Instant::now() + Duration::from_secs(60);
        assert_eq!(studio.run(|| 2, later).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_decoder_that_breaks_is_a_failure() {
        let later = Instant::now() + Duration::from_secs(60);
        let broken = Studio::new().run(|| panic!("on purpose"), later).await;
        let broken: Result<(), Failure> = broken;
        assert_eq!(broken.unwrap_err().code, ErrorCode::PictureDamaged);
    }
}
