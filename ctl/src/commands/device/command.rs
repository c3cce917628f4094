//! The subcommands of `tvtctl device`.

use clap::Subcommand;
use tvtfleet_proto::model::ask::Ask;

use crate::exit::Outcome;
use crate::io::Io;

use super::{ask, probe};

/// Ask single devices, from this computer and without a server
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read what devices say before anybody logs in
    Probe(probe::Args),
    /// Read what devices say of themselves
    Info(ask::Args),
    /// List the channels of recorders and the cameras behind them
    Channels(ask::Args),
    /// List disks and how they are
    Disks(ask::Args),
    /// Read clocks and how far they are off
    Clock(ask::Args),
    /// List who may log in
    Users(ask::Args),
    /// Read what recorders ask of passwords
    PasswordPolicy(ask::Args),
    /// List the ports devices listen on
    Ports(ask::Args),
    /// Show which services are switched on
    Services(ask::Args),
    /// Read picture settings
    Image(ask::Args),
    /// Read how video is encoded
    Streams(ask::Args),
    /// Read how sound is handled
    Audio(ask::Args),
    /// Read what is written into pictures
    Osd(ask::Args),
    /// Show what is being recorded now
    Recording(ask::Args),
    /// List days with recordings
    RecordingDays(ask::Args),
    /// List recordings of a time range
    RecordingSegments(ask::Args),
    /// List addresses of video, without passwords
    RtspUrl(ask::Args),
    /// Show where recorders report by themselves
    Platform(ask::Args),
    /// Show whether stored camera passwords work, without reading them
    CameraLogins(ask::Args),
    /// Read motion detection
    Motion(ask::Args),
    /// Set clocks: --set time=now, time_zone, sync, ntp_server, ntp_interval_min
    SetClock(ask::Args),
    /// Switch RTSP and the web API on or off: --set rtsp=BOOL, web_api=BOOL
    SetServices(ask::Args),
    /// Change picture settings
    SetImage(ask::Args),
    /// Change how video is encoded; stream=N picks the stream
    SetStreams(ask::Args),
    /// Switch sound on or off: --set enabled=BOOL
    SetAudio(ask::Args),
    /// Change what is written into pictures
    SetOsd(ask::Args),
    /// Change where recorders report by themselves
    SetPlatform(ask::Args),
    /// Start devices again and wait until they are back
    Reboot(ask::Args),
    /// Change the password of the account that logs in, and prove it
    SetPassword(ask::Args),
}

impl Command {
    /// Runs the subcommand.
    pub(crate) async fn run(self, io: &mut Io) -> Outcome {
        let (ask, args) = match self {
            Self::Probe(args) => return args.run(io).await,
            Self::Info(args) => (Ask::Info, args),
            Self::Channels(args) => (Ask::Channels, args),
            Self::Disks(args) => (Ask::Disks, args),
            Self::Clock(args) => (Ask::Clock, args),
            Self::Users(args) => (Ask::Users, args),
            Self::PasswordPolicy(args) => (Ask::PasswordPolicy, args),
            Self::Ports(args) => (Ask::Ports, args),
            Self::Services(args) => (Ask::Services, args),
            Self::Image(args) => (Ask::Image, args),
            Self::Streams(args) => (Ask::Streams, args),
            Self::Audio(args) => (Ask::Audio, args),
            Self::Osd(args) => (Ask::Osd, args),
            Self::Recording(args) => (Ask::Recording, args),
            Self::RecordingDays(args) => (Ask::RecordingDays, args),
            Self::RecordingSegments(args) => (Ask::RecordingSegments, args),
            Self::RtspUrl(args) => (Ask::RtspUrl, args),
            Self::Platform(args) => (Ask::Platform, args),
            Self::CameraLogins(args) => (Ask::CameraLogins, args),
            Self::Motion(args) => (Ask::Motion, args),
            Self::SetClock(args) => (Ask::SetClock, args),
            Self::SetServices(args) => (Ask::SetServices, args),
            Self::SetImage(args) => (Ask::SetImage, args),
            Self::SetStreams(args) => (Ask::SetStreams, args),
            Self::SetAudio(args) => (Ask::SetAudio, args),
            Self::SetOsd(args) => (Ask::SetOsd, args),
            Self::SetPlatform(args) => (Ask::SetPlatform, args),
            Self::Reboot(args) => (Ask::Reboot, args),
            Self::SetPassword(args) => (Ask::SetPassword, args),
        };
        args.run(ask, io).await
    }
}
