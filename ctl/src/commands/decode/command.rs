//! The command itself.

use clap::ValueEnum;
use tvtfleet_proto::device::tvt::explain::{ExplainedUnit, Explainer, Piece, Sender};
use tvtfleet_proto::device::tvt::{CommandId, HEARTBEAT};
use tvtfleet_proto::error::{ErrorCode, ExitStatus};

use crate::config;
use crate::error::{CliError, Stop};
use crate::exit::Outcome;
use crate::io::Io;

use super::capture::{self, Tally};
use super::hex::{self, Run};
use super::input::Input;
use super::streams::{Connection, Connections};
use super::{json, text};

/// The ports of devices where nobody names one.
const PORTS: [u16; 2] = [6036, 9008];

/// Arguments of `tvtctl decode`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Passwords are never shown, neither in clear nor as they were sent. User names are. Payloads that are
not understood are counted, not shown; HTTP text inside a session is shown without what looks like a
credential.

In a dump, lines that begin with < are the device's and those with > the client's.

The exit code is 1 where some bytes could not be explained.

Examples:
  tcpdump -w nvr.pcap 'tcp port 6036 or tcp port 9008'
  tvtctl decode nvr.pcap
  tvtctl decode --port 16036 --format json nvr.pcapng
  xxd -p greeting.bin | tvtctl decode -")]
pub(crate) struct Args {
    /// A capture (pcap or pcapng), a file with a hexadecimal dump, the digits themselves, or - for
    /// stdin
    #[arg(value_name = "FILE|HEX|-")]
    input: String,
    /// TCP port of devices in the capture; may be repeated [default: 6036 and 9008]
    #[arg(long, value_name = "PORT", value_parser = config::port)]
    port: Vec<u16>,
    /// Who sent the lines of a dump without a mark [default: as the first bytes suggest]
    #[arg(long, value_enum, value_name = "SENDER")]
    from: Option<SenderArg>,
    /// Only one line for each unit
    #[arg(long, conflicts_with = "format")]
    brief: bool,
    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Who sent some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SenderArg {
    /// The device
    Device,
    /// The client
    Client,
}

/// How the explanation is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text for people
    #[default]
    Text,
    /// One JSON document
    Json,
}

/// One exchange, explained.
pub(super) struct Exchange {
    /// Where it was seen: `None` for a dump.
    pub(super) connection: Option<Connection>,
    pub(super) units: Vec<ExplainedUnit>,
    /// Units left out.
    pub(super) omitted: u64,
}

impl Args {
    /// Runs the command.
    pub(crate) fn run(self, io: &mut Io) -> Outcome {
        match Input::open(&self.input, io)? {
            Input::Dump(dump) => {
                let runs = hex::parse(&dump).map_err(|line| {
                    CliError::usage(format!(
                        "line {line} of {} is no hexadecimal",
                        self.shown_input()
                    ))
                })?;
                if runs.is_empty() {
                    return Err(CliError::usage("there are no bytes to decode").into());
                }
                let exchange = self.explain_dump(&runs);
                self.write(io, std::iter::once(exchange))
            }
            Input::Capture(source) => {
                let ports = if self.port.is_empty() {
                    PORTS.to_vec()
                } else {
                    self.port.clone()
                };
                let mut connections = Connections::new(ports.clone());
                let tally = capture::read(source, &mut connections).map_err(|reason| {
                    CliError::new(
                        ErrorCode::ConfigUnreadable,
                        format!("cannot read {}", self.input),
                    )
                    .cause(reason)
                })?;
                tell(&tally, connections.passed_over, io);
                let found = connections.finish();
                if found.is_empty() {
                    return Err(nothing_found(&ports, &tally).into());
                }
                self.write(io, found.into_iter().map(explain_connection))
            }
        }
    }

    fn shown_input(&self) -> &str {
        if self.input == "-" {
            "stdin"
        } else {
            &self.input
        }
    }

    fn explain_dump(&self, runs: &[Run]) -> Exchange {
        let asked = self.from.map(|from| match from {
            SenderArg::Device => Sender::Device,
            SenderArg::Client => Sender::Client,
        });
        let mut explainer = Explainer::new(false);
        for (sender, bytes) in runs {
            let sender = sender.or(asked).unwrap_or_else(|| likely_sender(bytes));
            explainer.take(Piece {
                sender,
                at: None,
                missing: 0,
                bytes,
            });
        }
        finish(explainer, None)
    }

    fn write(&self, io: &mut Io, exchanges: impl Iterator<Item = Exchange>) -> Outcome {
        let mut is_complete = true;
        let mut writer = std::io::BufWriter::new(&mut io.stdout);
        let noted = exchanges.inspect(|exchange| {
            is_complete &= !exchange.units.iter().any(|unit| unit.kind.is_trouble());
        });
        let written = match self.format {
            Format::Text => text::write(noted, self.brief, &mut writer),
            Format::Json => json::write(noted, &mut writer),
        };
        written
            .and_then(|()| std::io::Write::flush(&mut writer))
            .map_err(|error| Stop::from_stdout(&error))?;
        Ok(if is_complete {
            ExitStatus::Success
        } else {
            ExitStatus::SomeFailed
        })
    }
}

fn explain_connection(connection: Connection) -> Exchange {
    let mut explainer = Explainer::new(connection.is_from_the_start());
    for piece in connection.pieces() {
        explainer.take(piece);
    }
    finish(explainer, Some(connection))
}

fn finish(explainer: Explainer, connection: Option<Connection>) -> Exchange {
    let explained = explainer.finish();
    Exchange {
        connection,
        units: explained.units,
        omitted: explained.omitted,
    }
}

/// Guesses the sender of a dump: devices greet, and their command ids have bit 24 set.
fn likely_sender(bytes: &[u8]) -> Sender {
    let start = bytes.strip_prefix(HEARTBEAT.as_slice()).unwrap_or(bytes);
    let id = start
        .get(8..12)
        .and_then(|id| id.first_chunk().copied())
        .map(u32::from_le_bytes);
    let asks = [CommandId::HEAD_LOGIN.0, CommandId::TUNNEL_REQUEST.0];
    match id {
        Some(id) if start.starts_with(b"1111") && (id >> 16 == 0 || asks.contains(&id)) => {
            Sender::Client
        }
        Some(_) | None => Sender::Device,
    }
}

/// Warns about what was not read.
fn tell(tally: &Tally, passed_over: u64, io: &Io) {
    if let Some(link) = tally.link {
        io.warn(&format!(
            "{} packets have link type {link}, which is not supported",
            tally.unknown_link
        ));
    }
    if tally.is_cut {
        io.warn("the capture ends in the middle of a packet");
    }
    if passed_over > 0 {
        io.warn(&format!(
            "{passed_over} packets of further connections were passed over"
        ));
    }
}

fn nothing_found(ports: &[u16], tally: &Tally) -> CliError {
    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
    let message = format!(
        "no TCP connection to port {} in {} packets",
        ports.join(" or "),
        tally.packets
    );
    CliError::new(ErrorCode::NotTvt, message).hint("--port names the port of the devices")
}
