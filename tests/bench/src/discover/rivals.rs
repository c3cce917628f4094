//! Port scanners that are installed, on the same stage. They look for open ports 6036 and 9008, and
//! cannot tell a recorder from another host that listens there, nor find one that only answers
//! searches.

use std::path::{Path, PathBuf};

use super::stage::Stage;
use crate::figures::{Row, say};

/// Seconds after which a scanner is stopped: some hang when they have nothing to do.
const LIMIT: &str = "120";
/// What `timeout` ends with where it stopped the program.
const STOPPED: i32 = 124;

/// The installed scanners.
pub(super) struct Rivals(Vec<Rival>);

struct Rival {
    name: &'static str,
    program: PathBuf,
    arguments: &'static [&'static str],
    /// What a line of its output holds for each host with an open port.
    marker: &'static str,
    /// Which word of such a line is the address.
    place: usize,
}

impl Rivals {
    /// Looks for them; notes those that are missing.
    pub(super) fn installed(notes: &mut Vec<String>) -> Self {
        let known = [
            Rival {
                name: "nmap",
                program: "/usr/bin/nmap".into(),
                arguments: &["-n", "-Pn", "-sS", "-p6036,9008", "--open", "-oG", "-"],
                marker: "/open/",
                place: 1,
            },
            Rival {
                name: "masscan",
                program: "/usr/bin/masscan".into(),
                arguments: &["-p6036,9008", "--rate", "1000", "--wait", "3", "-oL", "-"],
                marker: "open tcp ",
                place: 3,
            },
        ];
        let (there, missing): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|rival| rival.program.exists());
        notes.extend(
            missing
                .iter()
                .map(|rival| format!("without {}: not installed", rival.name)),
        );
        Self(there)
    }

    /// Runs each of them over a network and adds what it found to a row.
    pub(super) fn measure(&self, stage: &Stage, network: &str, mut row: Row) -> Row {
        for rival in &self.0 {
            say(&format!("{network}, {}", rival.name));
            let ended = stage
                .task(Path::new("timeout"))
                .arg(LIMIT)
                .arg(rival.program.as_os_str())
                .args(rival.arguments.iter().copied())
                .arg(network)
                .accept(STOPPED)
                .run();
            let ended = match ended {
                Ok(ended) => ended,
                Err(error) => {
                    // Its trouble is not this program's.
                    say(&format!("{}: {error:#}", rival.name));
                    row = row.text(&format!("{}_found", rival.name), "failed");
                    continue;
                }
            };
            let text = String::from_utf8_lossy(&ended.stdout);
            let hosts: std::collections::BTreeSet<&str> = text
                .lines()
                .filter(|line| line.contains(rival.marker))
                .filter_map(|line| line.split_whitespace().nth(rival.place))
                .collect();
            let found = u64::try_from(hosts.len()).unwrap_or(u64::MAX);
            row = row.count(&format!("{}_found", rival.name), found).number(
                &format!("{}_s", rival.name),
                ended.cost.wall(),
                1,
            );
        }
        row
    }
}
