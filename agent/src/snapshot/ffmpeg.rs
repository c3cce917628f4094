//! ffmpeg as a fallback, where somebody named it: it is given a key frame on its standard input, never
//! an address.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout_at;
use tvtfleet_proto::device::picture::Codec;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::report::Failure;

use crate::device::child::{ChildGroup, command};

/// Time for one picture.
const LIMIT: Duration = Duration::from_secs(10);

/// Makes a JPEG picture of a key frame; at most `bytes_max` bytes are read, and what is more is no
/// whole picture.
///
/// # Errors
///
/// `picture.not_decoded`, `picture.decode_timeout`.
pub(super) async fn develop(
    program: &Path,
    codec: Codec,
    stream: &[u8],
    bytes_max: usize,
    deadline: Instant,
) -> Result<Vec<u8>, Failure> {
    let failed = |text: &str| Failure::new(ErrorCode::PictureNotDecoded, text);
    let format = match codec {
        Codec::H264 => "h264",
        Codec::H265 => "hevc",
    };
    let mut ffmpeg = command(program);
    ffmpeg
        .args([
            "-hide_banner",
            "-loglevel",
            "quiet",
            "-f",
            format,
            "-i",
            "pipe:0",
        ])
        .args([
            "-an",
            "-frames:v",
            "1",
            "-q:v",
            "2",
            "-f",
            "mjpeg",
            "pipe:1",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut group =
        ChildGroup::start(&mut ffmpeg).map_err(|_| failed("ffmpeg cannot be started"))?;
    let (stdin, stdout, _) = group.pipes();
    let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
        return Err(failed("ffmpeg has no pipes"));
    };
    let room = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    let mut picture = Vec::new();
    let exchange = async {
        let feed = async move {
            // It may have enough before it has read all.
            let _enough = stdin.write_all(stream).await;
        };
        let mut taken = stdout.take(room.saturating_add(1));
        let (_, read) = tokio::join!(feed, taken.read_to_end(&mut picture));
        read.is_ok()
    };
    let end = deadline.min(Instant::now() + LIMIT);
    match timeout_at(end.into(), exchange).await {
        Ok(true) if picture.len() > bytes_max => Err(Failure::new(
            ErrorCode::PictureTooLarge,
            "ffmpeg's picture is larger than allowed",
        )),
        Ok(true) if !picture.is_empty() => Ok(picture),
        Ok(_) => Err(failed("ffmpeg could not decode the key frame")),
        Err(_) => Err(Failure::new(
            ErrorCode::PictureDecodeTimeout,
            "ffmpeg did not decode the key frame in time",
        )),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::snapshot) fn script(folder: &Path, text: &str) -> std::path::PathBuf {
        let path = folder.join("ffmpeg");
        // By a process of its own: a file that this one writes stays open in children that other tests
        // start at that moment, and cannot be run until they are gone.
        let written = std::process::Command::new("sh")
            .args([
                "-c",
                r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod 755 "$2""#,
            ])
            .args(["sh", text])
            .arg(&path)
            .status()
            .unwrap();
        assert!(written.success());
        path
    }

    #[tokio::test]
    async fn it_is_fed_by_pipe_and_held_to_its_limits() {
        let folder = tempfile::tempdir().unwrap();
        let run = async |text: &str, limit: Duration| {
            let program = script(folder.path(), text);
            let end = Instant::now() + limit;
            let made = develop(&program, Codec::H264, b"frame", 16, end).await;
            made.map_err(|failure| failure.code)
        };
        let long = Duration::from_secs(30);
        assert_eq!(run("cat", long).await, Ok(b"frame".to_vec()));
        let all = "case \"$*\" in *rtsp*|*frame*.*) exit 1;; esac; cat; cat /dev/zero";
        assert_eq!(run(all, long).await, Err(ErrorCode::PictureTooLarge));
        assert_eq!(run("exit 1", long).await, Err(ErrorCode::PictureNotDecoded));
        let short = Duration::from_millis(100);
        let hung = run("exec sleep 1000", short).await;
        assert_eq!(hung, Err(ErrorCode::PictureDecodeTimeout));
        let end = Instant::now() + long;
        let none = develop(&folder.path().join("none"), Codec::H265, b"", 1, end).await;
        assert_eq!(none.unwrap_err().code, ErrorCode::PictureNotDecoded);
    }
}
