//! Documents for the recorder's web interface, through the session: by the call for its API, else by the
//! one that passes anything on.
//!
//! UNCERTAIN: which of the two a build and a recorder know. Users of 1.2.1.036 have `TransparentConfig`,
//! those of 1.3.2 `ApiInterface`; either's answer to a question of one recorder would settle it there.

use tvtfleet_proto::device::sdkpipe::{Answer, CallFailure, Reason};

pub(crate) use tvtfleet_proto::device::sdkpipe::Tunnel as Document;

use crate::ffi::{Passage, Sdk, UserId};
use crate::guarded::Guarded;
use crate::session::{failed, failure, whole};

/// Room for answers, in bytes: the second where the first was too small. The longest document still fits
/// into a message when each of its bytes takes six there.
const ROOMS: [usize; 2] = [128 * 1024, 1536 * 1024];
/// Numbers for a buffer that is too small.
const TOO_SMALL: [u32; 2] = [46, 102];
/// Numbers for a call that the recorder does not know.
const UNKNOWN: [u32; 2] = [26, 96];

/// Sends a document and says what the recorder answers.
pub(crate) fn send(sdk: &Sdk, user: UserId, document: &Document) -> Result<Answer, CallFailure> {
    let first = match through(sdk, Passage::Api, user, document) {
        Err(failure) if is_unknown(&failure.reason) => failure,
        ended => return ended,
    };
    // A function that is not there says less than the one that failed.
    through(sdk, Passage::Transparent, user, document).map_err(|second| {
        if second.reason == Reason::Missing {
            first
        } else {
            second
        }
    })
}

fn is_unknown(reason: &Reason) -> bool {
    match reason {
        Reason::Number(number) => UNKNOWN.contains(number),
        Reason::Missing => true,
        Reason::Unsaid | Reason::Layout(_) | Reason::Order | Reason::Argument => false,
    }
}

fn through(
    sdk: &Sdk,
    passage: Passage,
    user: UserId,
    document: &Document,
) -> Result<Answer, CallFailure> {
    let function = match passage {
        Passage::Api => "NET_SDK_ApiInterface",
        Passage::Transparent => "NET_SDK_TransparentConfig",
    };
    let too_long = || {
        let text = "an answer longer than any of a recorder".to_owned();
        failure(function, Reason::Layout(text))
    };
    for room in ROOMS {
        let mut answer = Guarded::zeroed(room);
        let count = match sdk.document(passage, user, document, &mut answer) {
            Ok(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Err(error) => {
                let failure = failed(function, error);
                if matches!(failure.reason, Reason::Number(number) if TOO_SMALL.contains(&number)) {
                    continue;
                }
                return Err(failure);
            }
        };
        let bytes = whole(function, &answer)?;
        // An answer that fills the room to its end may have been cut there.
        if count == room {
            continue;
        }
        let bytes = bytes.get(..count).ok_or_else(too_long)?;
        let text = String::from_utf8_lossy(bytes);
        return Ok(Answer::Document(text.trim_end_matches('\0').to_owned()));
    }
    Err(too_long())
}
