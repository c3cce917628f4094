//! The two dialects.

use std::fmt;

/// A dialect of the web API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// `/GetDeviceInfo`.
    Flat,
    /// `/LAPI/V1.0/System/DeviceInfo`.
    Lapi,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Flat => "flat",
            Self::Lapi => "lapi",
        })
    }
}
