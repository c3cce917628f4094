//! Following both directions of one connection.

use super::super::command::CommandId;
use super::super::decode::{Decoder, Unit};
use super::super::failure::CodecError;
use super::super::field::{count, u32_at};
use super::super::frame::{FLAG, Frame, HEAD_FLAG, HEADER_LEN};
use super::super::init::Init;
use super::super::limits::FRAME_AFTER_LOGIN;
use super::super::login::Variant;
use super::super::verdict::{Verdict, verdict};
use super::commands::{command_name, is_pushed_by_nature};
use super::fields::{number, text};
use super::http::explain_tunnel;
use super::login::{
    explain_accepted, explain_greeting, explain_head_accepted, explain_login, explain_refused,
};
use super::unit::{ExplainedUnit, Kind, Piece, Sender};
use crate::error::ErrorCode;
use crate::model::report::DeviceFamily;

/// The most units of one connection; what follows is counted.
pub const UNITS: usize = 10_000;

/// The id of a frame that nobody asked for.
const UNASKED: u32 = 0xFFFF_FFFF;
const COUNTED_HEADER: u32 = 16;

/// Explains the pieces of one connection. `from_the_start`: nothing was sent before the first ones.
#[must_use]
pub fn explain<'a>(
    from_the_start: bool,
    pieces: impl IntoIterator<Item = Piece<'a>>,
) -> Vec<ExplainedUnit> {
    let mut explainer = Explainer::new(from_the_start);
    for piece in pieces {
        explainer.take(piece);
    }
    explainer.finish().units
}

/// A connection, explained.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// Its units, in the order of their last bytes.
    pub units: Vec<ExplainedUnit>,
    /// How many were left out because there were more than [`UNITS`].
    pub omitted: u64,
}

/// Explains a connection as its pieces come. Memory grows with the units, up to [`UNITS`], and with
/// one unfinished frame for each sender.
#[derive(Debug, Default)]
pub struct Explainer {
    from_the_start: bool,
    device: Stream,
    client: Stream,
    greeting: Option<Init>,
    family: Option<DeviceFamily>,
    /// Whether a login was seen that has not been accepted.
    login_open: bool,
    logged_in: bool,
    units: Vec<ExplainedUnit>,
    omitted: u64,
}

/// One sender's stream.
#[derive(Debug, Default)]
struct Stream {
    /// The first bytes, until they suffice to tell a greeting from a frame.
    start: Vec<u8>,
    decoder: Option<Decoder>,
    /// Bytes behind a break.
    unread: u64,
    stopped: bool,
    /// Where the unit in progress begins.
    unit_start: u64,
    at: Option<std::time::Duration>,
}

impl Explainer {
    /// An explainer for a connection whose first bytes, where `from_the_start`, are the first ones
    /// that were sent: then the device begins with its greeting. Else the bytes have to tell.
    #[must_use]
    pub fn new(from_the_start: bool) -> Self {
        Self {
            from_the_start,
            ..Self::default()
        }
    }

    /// Takes the next piece.
    pub fn take(&mut self, piece: Piece<'_>) {
        let stream = self.stream(piece.sender);
        if stream.stopped {
            stream.unread = stream.unread.saturating_add(count(piece.bytes.len()));
            return;
        }
        stream.at = piece.at;
        if piece.missing > 0 {
            self.stop_at_gap(piece.sender, piece.missing);
            let stream = self.stream(piece.sender);
            stream.unread = count(piece.bytes.len());
            return;
        }
        if self.stream(piece.sender).decoder.is_some() {
            self.advance(piece.sender, piece.bytes);
            return;
        }
        let stream = self.stream(piece.sender);
        stream.start.extend_from_slice(piece.bytes);
        if stream.can_begin() {
            self.begin(piece.sender);
        }
    }

    /// Ends the connection.
    #[must_use]
    pub fn finish(mut self) -> Explanation {
        for sender in [Sender::Device, Sender::Client] {
            self.begin(sender);
            self.end(sender);
        }
        Explanation {
            units: self.units,
            omitted: self.omitted,
        }
    }

    fn stream(&mut self, sender: Sender) -> &mut Stream {
        match sender {
            Sender::Device => &mut self.device,
            Sender::Client => &mut self.client,
        }
    }

    /// Chooses the decoder by what there is, and decodes that.
    fn begin(&mut self, sender: Sender) {
        let from_the_start = self.from_the_start;
        let stream = self.stream(sender);
        if stream.decoder.is_some() || stream.start.is_empty() || stream.stopped {
            return;
        }
        let looks_like_greeting = stream.start.starts_with(&HEAD_FLAG) && !stream.is_head_frame();
        let greets = sender == Sender::Device && (from_the_start || looks_like_greeting);
        stream.decoder = Some(if greets {
            Decoder::new(FRAME_AFTER_LOGIN)
        } else {
            Decoder::after_init(FRAME_AFTER_LOGIN)
        });
        let bytes = std::mem::take(&mut stream.start);
        self.advance(sender, &bytes);
    }

    /// Decodes what came.
    fn advance(&mut self, sender: Sender, bytes: &[u8]) {
        let mut rest = bytes;
        loop {
            let stream = self.stream(sender);
            let Some(decoder) = &mut stream.decoder else {
                return;
            };
            let result = decoder.next(&mut rest);
            let end = decoder.offset();
            match result {
                Ok(None) => return,
                Ok(Some(unit)) => {
                    let start = std::mem::replace(&mut stream.unit_start, end);
                    let at = stream.at;
                    let blank = ExplainedUnit {
                        at,
                        length: end.saturating_sub(start),
                        ..blank(sender, start)
                    };
                    let unit = self.explain_unit(blank, unit);
                    self.push(unit);
                }
                Err(error) => {
                    let unread = count(rest.len());
                    self.break_at(sender, &error, end);
                    self.stream(sender).unread = unread;
                    return;
                }
            }
        }
    }

    fn break_at(&mut self, sender: Sender, error: &CodecError, end: u64) {
        let stream = self.stream(sender);
        stream.stopped = true;
        let (start, at) = (stream.unit_start, stream.at);
        self.push(ExplainedUnit {
            at,
            length: end.saturating_sub(start),
            kind: Kind::Broken,
            code: Some(error.code),
            summary: error.text.to_owned(),
            ..blank(sender, start)
        });
    }

    fn stop_at_gap(&mut self, sender: Sender, missing: u64) {
        let stream = self.stream(sender);
        stream.stopped = true;
        let held = count(stream.start.len());
        let read = stream.decoder.as_ref().map_or(held, Decoder::offset);
        stream.start = Vec::new();
        let at = stream.at;
        let in_unit = read.saturating_sub(stream.unit_start);
        let start = stream.unit_start;
        if in_unit > 0 {
            self.push(ExplainedUnit {
                at,
                length: in_unit,
                kind: Kind::Cut,
                code: Some(ErrorCode::Truncated),
                summary: "the start of a unit whose rest the capture lacks".to_owned(),
                ..blank(sender, start)
            });
        }
        self.push(ExplainedUnit {
            at,
            length: missing,
            kind: Kind::Missing,
            summary: format!("the capture lacks {missing} bytes"),
            ..blank(sender, read)
        });
        let stream = self.stream(sender);
        stream.unit_start = read.saturating_add(missing);
    }

    fn end(&mut self, sender: Sender) {
        let stream = self.stream(sender);
        let at = stream.at;
        let start = stream.unit_start;
        if stream.stopped {
            let (unread, behind) = (stream.unread, stream.end_of_read());
            if unread > 0 {
                self.push(ExplainedUnit {
                    at,
                    length: unread,
                    kind: Kind::Unread,
                    summary: format!("{unread} bytes behind it were not read"),
                    ..blank(sender, behind)
                });
            }
            return;
        }
        let Some(decoder) = &stream.decoder else {
            return;
        };
        let read = decoder.offset();
        if let Some(error) = decoder.end()
            && read > start
        {
            self.push(ExplainedUnit {
                at,
                length: read.saturating_sub(start),
                kind: Kind::Cut,
                code: Some(error.code),
                summary: error.text.to_owned(),
                ..blank(sender, start)
            });
        }
    }

    fn push(&mut self, mut unit: ExplainedUnit) {
        if self.units.len() >= UNITS {
            self.omitted = self.omitted.saturating_add(1);
            return;
        }
        unit.family = unit.family.or(self.family);
        self.units.push(unit);
    }

    fn explain_unit(&mut self, mut blank: ExplainedUnit, unit: Unit) -> ExplainedUnit {
        match unit {
            Unit::Init(init, _) => {
                self.family = Some(family_of(&init));
                blank.kind = Kind::Greeting;
                explain_greeting(&mut blank, &init);
                self.greeting = Some(*init);
                blank
            }
            Unit::Heartbeat => ExplainedUnit {
                kind: Kind::Heartbeat,
                summary: "heartbeat".to_owned(),
                ..blank
            },
            Unit::Command(frame) => {
                blank.command = Some(frame.header.command);
                blank.request = Some(frame.header.id);
                match blank.sender {
                    Sender::Client => self.explain_request(&mut blank, &frame),
                    Sender::Device => self.explain_reply(&mut blank, &frame),
                }
                blank
            }
        }
    }

    fn explain_request(&mut self, unit: &mut ExplainedUnit, frame: &Frame) {
        let command = frame.header.command;
        self.name(unit, command);
        match command {
            CommandId::LOGIN | CommandId::HEAD_LOGIN => {
                // The login tells the family where the capture lacks the greeting.
                if self.family.is_none() {
                    self.family = Some(if command == CommandId::LOGIN {
                        DeviceFamily::Standard
                    } else {
                        DeviceFamily::Head
                    });
                }
                self.login_open = true;
                unit.kind = Kind::LoginRequest;
                explain_login(unit, command, &frame.payload, self.greeting.as_ref());
            }
            CommandId::LOGOUT => {
                unit.kind = Kind::Logout;
                unit.summary = "logout".to_owned();
            }
            CommandId::TUNNEL_REQUEST => {
                unit.kind = Kind::TunnelRequest;
                explain_tunnel(unit, &frame.payload, false);
            }
            _ => {
                unit.kind = Kind::Request;
                summarise(unit, "request", frame, self.family);
            }
        }
    }

    fn explain_reply(&mut self, unit: &mut ExplainedUnit, frame: &Frame) {
        let command = frame.header.command;
        self.name(unit, command);
        if command == CommandId::TUNNEL_REPLY {
            unit.kind = Kind::TunnelReply;
            explain_tunnel(unit, &frame.payload, true);
            return;
        }
        let variant = match self.family {
            Some(DeviceFamily::Head) => Variant::Head,
            Some(DeviceFamily::Standard) | None => Variant::Standard,
        };
        // Long frames of the head variant are told from the login reply by what was asked.
        let may_answer = variant == Variant::Standard || (self.login_open && !self.logged_in);
        match verdict(variant, frame) {
            Verdict::Accepted if may_answer => {
                self.logged_in = true;
                unit.kind = Kind::LoginAccepted;
                match variant {
                    Variant::Standard => explain_accepted(unit, &frame.payload),
                    Variant::Head => explain_head_accepted(unit, &frame.payload),
                }
            }
            Verdict::Acknowledged if may_answer => {
                unit.kind = Kind::LoginAccepted;
                unit.summary = "login acknowledged, the channel list is still to come".to_owned();
            }
            Verdict::Refused(code) => {
                unit.kind = Kind::LoginRefused;
                explain_refused(unit, command, &frame.payload, code);
            }
            Verdict::OtherFamily => {
                unit.kind = Kind::Reply;
                unit.code = Some(ErrorCode::UnsupportedVariant);
                unit.summary = "answer of the DVR V4 family, which is not supported".to_owned();
            }
            Verdict::Accepted | Verdict::Acknowledged | Verdict::Pushed => {
                let is_pushed = frame.header.id == UNASKED
                    || (self.family == Some(DeviceFamily::Standard)
                        && is_pushed_by_nature(command));
                unit.kind = if is_pushed { Kind::Pushed } else { Kind::Reply };
                let what = if is_pushed { "pushed frame" } else { "reply" };
                summarise(unit, what, frame, self.family);
            }
        }
    }

    fn name(&self, unit: &mut ExplainedUnit, command: CommandId) {
        unit.name = command_name(command, self.family).and_then(|known| known.name);
    }
}

impl Stream {
    /// Whether enough is there to tell a greeting from a frame.
    fn can_begin(&self) -> bool {
        let needed = match self.start.first_chunk() {
            None => FLAG.len(),
            Some(flag) if *flag == HEAD_FLAG => HEADER_LEN,
            Some(_) => 0,
        };
        self.start.len() >= needed
    }

    /// Whether the stream begins with a frame flagged like a greeting: its lengths fit together.
    fn is_head_frame(&self) -> bool {
        let (Some(command_len), Some(data_len)) = (u32_at(&self.start, 4), u32_at(&self.start, 20))
        else {
            return false;
        };
        self.start.starts_with(&HEAD_FLAG)
            && command_len.checked_sub(COUNTED_HEADER) == Some(data_len)
    }

    fn end_of_read(&self) -> u64 {
        let read = self.decoder.as_ref().map_or(0, Decoder::offset);
        read.max(self.unit_start)
    }
}

fn blank(sender: Sender, offset: u64) -> ExplainedUnit {
    ExplainedUnit {
        sender,
        at: None,
        offset,
        length: 0,
        kind: Kind::Reply,
        command: None,
        request: None,
        family: None,
        name: None,
        summary: String::new(),
        code: None,
        fields: Vec::new(),
    }
}

/// One line and the bare facts of a frame whose payload is not shown.
fn summarise(unit: &mut ExplainedUnit, what: &str, frame: &Frame, family: Option<DeviceFamily>) {
    let command = frame.header.command;
    let length = frame.payload.len();
    let known = command_name(command, family);
    let label = match known {
        Some(known) => match known.name {
            Some(name) => format!("{name} ({})", known.group),
            None => format!("{command} ({})", known.group),
        },
        None => format!("{command}"),
    };
    let changes = if known.is_some_and(|known| known.changes) {
        ", changes the device"
    } else {
        ""
    };
    unit.summary = format!("{what} {label}, {length} bytes of payload{changes}");
    unit.fields.push(number("payload_length", count(length)));
    unit.fields
        .extend(known.map(|known| text("group", known.group)));
}

fn family_of(init: &Init) -> DeviceFamily {
    if init.is_head_variant() {
        DeviceFamily::Head
    } else {
        DeviceFamily::Standard
    }
}
