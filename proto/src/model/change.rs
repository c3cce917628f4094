//! What changed in the inventory: one difference between what was known and what a report says.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use uuid::Uuid;

use super::id::{JobId, SiteId, TenantId};
use super::time::UtcMillis;

macro_rules! kinds {
    ($( $(#[doc = $doc:literal])+ $variant:ident = $name:literal; )+) => {
        /// The sort of a change. What was never known before is no change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ChangeKind {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl ChangeKind {
            /// Every sort.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// The name used in files and messages.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }
        }
    };
}

kinds! {
    /// A report came from a device that was not in the inventory.
    Added = "added";
    /// An operator took the device out of the inventory.
    Forgotten = "forgotten";
    /// The device answers at another address.
    Moved = "moved";
    /// Another device answers at the address of this one.
    Displaced = "displaced";
    /// The device was asked with success before, and fails now.
    Unreachable = "unreachable";
    /// The device failed before, and was asked with success now.
    Reachable = "reachable";
    /// The device failed before and fails now, for another reason.
    FailsDifferently = "fails_differently";
    /// Something that the device says of itself is different.
    Field = "field";
    /// A channel is new.
    ChannelAdded = "channel_added";
    /// A channel is gone.
    ChannelRemoved = "channel_removed";
    /// A camera has another name.
    ChannelRenamed = "channel_renamed";
    /// A camera is on another channel.
    ChannelMoved = "channel_moved";
    /// The recorder sees a camera again, or does not see it any more.
    ChannelStatus = "channel_status";
    /// A camera has another address.
    ChannelAddress = "channel_address";
    /// Something else of a channel is different.
    ChannelField = "channel_field";
    /// A complete discovery of its network did not see the device.
    Gone = "gone";
    /// The device was gone, and a discovery sees it again.
    Back = "back";
    /// An operator vouches for the device, which had merely answered a discovery.
    Verified = "verified";
    /// The report holds more changes than are listed; the new value is how many more.
    Many = "many";
    /// A sort that only a newer program knows.
    Other = "other";
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// No sort of change has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no sort of change")]
pub struct UnknownChangeKind(pub String);

impl FromStr for ChangeKind {
    type Err = UnknownChangeKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownChangeKind(text.chars().take(64).collect()))
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The same change has the same id, also where a report is applied to a restored database.
    pub id: Uuid,
    /// When it was seen.
    pub at: UtcMillis,
    /// The site.
    pub site: SiteId,
    /// The lasting name of the device.
    pub device_id: String,
    /// The operator's name of the device; may be empty.
    pub hostname: String,
    /// Where the device stood when the change was seen; empty where nowhere.
    pub address: String,
    /// The sort of change.
    pub kind: ChangeKind,
    /// The recorder's name of the channel; empty where the change is the device's.
    pub channel: String,
    /// The name of the channel; may be empty.
    pub channel_name: String,
    /// The field, as result files call it; empty where the kind says it all.
    pub field: String,
    /// What was known before; may be empty.
    pub old: String,
    /// What is known now; may be empty.
    pub new: String,
    /// The job whose report it was; `None` where an operator or an import changed it.
    pub job: Option<JobId>,
}

/// Lists changes, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListChanges {
    /// Only these tenants; empty is any.
    pub tenants: Vec<TenantId>,
    /// Only these sites; empty is any.
    pub sites: Vec<SiteId>,
    /// Only these devices, by any of their names; empty is any.
    pub devices: Vec<String>,
    /// Only these sorts; empty is any.
    pub kinds: Vec<ChangeKind>,
    /// Only changes seen at or after this moment.
    pub since: Option<UtcMillis>,
    /// Only changes seen before this moment.
    pub until: Option<UtcMillis>,
    /// Where the last page ended; empty for the first.
    pub cursor: String,
    /// The most rows; 0 is [`super::api::PAGE_MAX`].
    pub limit: u32,
    /// Follow: only what was recorded after this position, in the order of recording.
    pub after: Option<u64>,
    /// Follow: how long to hold the request where there is nothing, up to
    /// [`super::api::WATCH_MAX`].
    pub wait: Duration,
}

/// One page of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangePage {
    /// The changes.
    pub rows: Vec<Change>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<String>,
    /// Follow: everything up to this position has been looked at.
    pub position: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_read_back() {
        for kind in ChangeKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert!("renamed".parse::<ChangeKind>().is_err());
    }
}
