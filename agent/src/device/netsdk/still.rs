//! Stills of the vendor's library: one login for all pictures of a device.

use std::time::{Duration, Instant};

use tokio::time::sleep_until;
use tvtfleet_proto::device::sdkpipe::{Answer as SdkAnswer, Request};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::report::Failure;

use super::driver::NetsdkDevice;
use crate::device::connect::cancelled;

/// Time for one picture; there may be two calls in it.
const PICTURE: Duration = Duration::from_secs(20);
/// The library's number for a channel whose camera is away.
const CAMERA_AWAY: u32 = 98;

impl NetsdkDevice<'_> {
    /// A picture of a channel, from 1: what the library gives, unchecked. Logs in where that has not
    /// been done; a helper that crashed or hung is not started again.
    pub(crate) async fn still(
        &mut self,
        channel: u32,
        deadline: Instant,
    ) -> Result<Vec<u8>, Failure> {
        self.visit.deadline = deadline;
        let cancel = self.visit.cancel;
        let work = async {
            if !self.logged_in
                && let Err(failure) = self.log_in().await
            {
                // Its place is for another device, or for the next try.
                self.abandon().await;
                return Err(failure);
            }
            self.picture(channel).await.map_err(|failure| Failure {
                // The device has accepted it.
                credentials_sent: false,
                ..failure
            })
        };
        let result = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(cancelled()),
            result = work => return result,
            () = sleep_until(deadline.into()) => {
                Err(Failure::new(ErrorCode::DeviceDeadline, "the time for the picture ran out"))
            }
        };
        // Whatever the helper is doing, nobody waits for it any more.
        self.abandon().await;
        result
    }

    async fn picture(&mut self, channel: u32) -> Result<Vec<u8>, Failure> {
        let index = channel.checked_sub(1).and_then(|no| u16::try_from(no).ok());
        let Some(index) = index else {
            let text = "the library knows no channel of this number";
            return Err(Failure::new(ErrorCode::UnsupportedVariant, text));
        };
        let answer = self.call(&Request::Picture(index), PICTURE).await?;
        if let SdkAnswer::Picture(picture) = answer {
            return Ok(picture.0);
        }
        let failure = self.unexpected(&answer);
        let code = match failure.wire_code {
            Some(CAMERA_AWAY) => ErrorCode::PictureOffline,
            _ => failure.code,
        };
        Err(Failure { code, ..failure })
    }
}
