//! Addresses of streams, without a credential.

use std::net::IpAddr;

use crate::device::picture::VideoStream;
use crate::model::address::Host;

/// The port of RTSP servers where a device does not say otherwise.
pub const DEFAULT_PORT: u16 = 554;

/// The path of a live stream of a recorder's channel, from 1. The order of the parts matters to some
/// firmware. Wire source: AVYCON's document, pytvt 0.5.1.
#[must_use]
pub fn recorder_path(channel: u32, stream: VideoStream) -> String {
    format!("/chID={channel}&streamType={stream}")
}

/// The path of a camera's own live stream. Wire source: maker's document, pytvt 0.5.1.
#[must_use]
pub fn camera_path(stream: VideoStream) -> String {
    format!("/profile{}", stream.profile())
}

/// The address of a stream; a path may be a query alone.
#[must_use]
pub fn url(host: &Host, port: u16, path: &str) -> String {
    let host = match host {
        Host::Ip(IpAddr::V6(address)) => format!("[{address}]"),
        other @ (Host::Ip(_) | Host::Name(_) | Host::Serial(_)) => other.to_string(),
    };
    let slash = if path.starts_with(['/', '?']) {
        ""
    } else {
        "/"
    };
    format!("rtsp://{host}:{port}{slash}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_documents() {
        let host = |text: &str| Host::Ip(text.parse().unwrap());
        let path = recorder_path(3, VideoStream::Sub);
        assert_eq!(
            url(&host("192.0.2.1"), 554, &path),
            "rtsp://192.0.2.1:554/chID=3&streamType=sub"
        );
        assert_eq!(
            url(&host("2001:db8::7"), 8554, "profile1"),
            "rtsp://[2001:db8::7]:8554/profile1"
        );
        assert_eq!(camera_path(VideoStream::Third), "/profile3");
        assert_eq!(
            url(&host("192.0.2.1"), 554, "?chID=2&streamType=sub"),
            "rtsp://192.0.2.1:554?chID=2&streamType=sub"
        );
    }
}
