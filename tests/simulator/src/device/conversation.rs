//! One connection from the greeting to its end.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::counters::Counter;
use super::fault::{Fault, Phase};
use super::foreign;
use super::handle::Device;
use super::live::Challenge;
use super::lock::Verdict;
use super::outlet::{Delivery, End, Outlet};
use super::random::Random;
use super::reader::{Arrival, Arrived, Presence, QUEUE, read_frames};
use super::script::Script;
use super::spec::{BeforeLogin, ReplyId};
use super::violation::Violation;
use crate::wire::command;
use crate::wire::field::wire_len;
use crate::wire::frame::{Frame, FrameDefect, HEARTBEAT, frame};
use crate::wire::login::{Claim, head_claim, standard_claim};
use crate::wire::reply::failure;
use crate::wire::tunnel::{TunnelRequest, tunnel_reply};

/// Wrong user or password.
const CODE_WRONG: u32 = 2;
/// Too many clients.
const CODE_BUSY: u32 = 3;
/// Wrong version of the login.
const CODE_VERSION: u32 = 1;
/// Most short frames in front of a head reply.
const SHORT_FRAMES_MAX: u8 = 20;
/// How long two sessions may overlap: the first may be closed but not yet noticed.
const OVERLAP_GRACE: Duration = Duration::from_millis(200);

/// Serves one accepted connection.
pub(crate) async fn serve(device: &Device, mut stream: TcpStream, connection: u64) {
    let mut random = Random::new(device.seed(), connection);
    let live = device.live();
    let script = Script::draw(live.spec.fault_rules(), connection, &mut random);
    if let Some(server) = script.foreign() {
        foreign::play(server, &mut stream).await;
        return;
    }
    // A delay here is no error, only slower.
    let _ = stream.set_nodelay(true);
    let challenge = live.challenge(&script, &mut random);
    let presence = Presence::new();
    let (queue, arrivals) = mpsc::channel(QUEUE);
    let _leave = Leave { device, connection };
    let end = {
        let (read_half, half) = stream.split();
        let reader = async {
            read_frames(read_half, queue, &presence, device, connection).await;
            pending::<Infallible>().await
        };
        let outlet = Outlet {
            device,
            half,
            presence: &presence,
        };
        let mut conversation = Conversation {
            device,
            connection,
            script,
            challenge,
            outlet,
            stage: Stage::Greeted,
            quiet_since: Instant::now(),
            scanned: false,
        };
        tokio::select! {
            end = conversation.run(arrivals) => end,
            never = reader => match never {},
        }
    };
    if end == End::Reset {
        // Without this the close below is an orderly one; the test that wants a reset fails.
        let _ = stream.set_zero_linger();
    }
}

/// Strikes the session out when the connection ends in whatever way.
struct Leave<'a> {
    device: &'a Device,
    connection: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.device.session_ended(self.connection);
    }
}

/// How far a session got.
#[derive(Debug)]
enum Stage {
    Greeted,
    Refused,
    /// Logged in while these other sessions were open.
    LoggedIn {
        others: Vec<u64>,
        since: Instant,
    },
}

struct Conversation<'a> {
    device: &'a Device,
    connection: u64,
    script: Script,
    challenge: Challenge,
    outlet: Outlet<'a>,
    stage: Stage,
    quiet_since: Instant,
    scanned: bool,
}

impl Conversation<'_> {
    async fn run(&mut self, mut arrivals: mpsc::Receiver<Arrival>) -> End {
        if let Err(end) = self.greet().await {
            return end;
        }
        let mut heartbeat_at = self.next_heartbeat();
        loop {
            let deadline = [heartbeat_at, self.hang_up_at(), self.overlap_at()];
            let next = match deadline.into_iter().flatten().min() {
                Some(deadline) => timeout_at(deadline, arrivals.recv()).await,
                None => Ok(arrivals.recv().await),
            };
            let outcome = match next {
                Ok(Some(arrival)) => {
                    let outcome = self.handle(arrival).await;
                    self.quiet_since = Instant::now();
                    heartbeat_at = self.next_heartbeat();
                    outcome
                }
                Ok(None) => Err(End::Gone),
                Err(_) => self.on_time(&mut heartbeat_at).await,
            };
            if let Err(end) = outcome {
                return end;
            }
        }
    }

    async fn greet(&mut self) -> Result<(), End> {
        if self.script.has(&Fault::NoGreeting) {
            self.outlet.presence.gone().await;
            return Err(End::Gone);
        }
        let live = self.device.live();
        let more = usize::from(self.script.extra_heartbeats().unwrap_or(0));
        let heartbeats = usize::from(live.spec.ack).saturating_add(more);
        let delivery = Delivery {
            before: Vec::new(),
            answer: self.challenge.greeting.clone(),
            after: vec![HEARTBEAT.to_vec(); heartbeats],
        };
        self.outlet
            .deliver(Phase::Greeting, &self.script, delivery)
            .await
    }

    async fn handle(&mut self, arrival: Arrival) -> Result<(), End> {
        self.check_overlap();
        let (command, id, payload) = match arrival.what {
            Arrived::Frame(Frame::Heartbeat) => return Ok(()),
            Arrived::Frame(Frame::Command {
                command,
                id,
                payload,
            }) => (command, id, payload),
            Arrived::Malformed(FrameDefect::Flag) => return self.give_up(Violation::BadFlag),
            Arrived::Malformed(FrameDefect::Length | FrameDefect::TooLarge) => {
                return self.give_up(Violation::BadLength);
            }
            Arrived::Cut => return self.give_up(Violation::TruncatedFrame),
        };
        if command != command::LOGOUT && arrival.answered < self.outlet.presence.answered() {
            self.violation(Violation::Pipelined);
        }
        let logged_in = matches!(self.stage, Stage::LoggedIn { .. });
        match command {
            command::LOGIN | command::HEAD_LOGIN if logged_in => {
                self.device.count(Counter::LoginsTried, 1);
                self.violation(Violation::SecondLogin);
                Ok(())
            }
            command::LOGIN | command::HEAD_LOGIN => self.login(command, id, &payload).await,
            command::LOGOUT if logged_in => Err(End::Close),
            command::TUNNEL_REQUEST if logged_in => self.tunnel(id, &payload).await,
            _ if logged_in => Ok(()),
            _ => {
                self.violation(Violation::CommandBeforeLogin);
                match self.device.live().spec.before_login {
                    BeforeLogin::Ignore => Ok(()),
                    BeforeLogin::Close => Err(End::Close),
                }
            }
        }
    }

    async fn login(&mut self, command: u32, id: u32, payload: &[u8]) -> Result<(), End> {
        self.device.count(Counter::LoginsTried, 1);
        if matches!(self.stage, Stage::Refused) {
            self.violation(Violation::LoginAfterFailure);
        }
        match self.decide(command, payload) {
            Ok(others) => {
                self.device.count(Counter::LoginsSucceeded, 1);
                self.stage = Stage::LoggedIn {
                    others,
                    since: Instant::now(),
                };
                self.welcome(id).await
            }
            Err(code) => {
                self.device.count(Counter::LoginsFailed, 1);
                self.stage = Stage::Refused;
                let head = self.device.live().spec.is_head();
                let reply = if head {
                    command::HEAD_LOGIN_FAILURE
                } else {
                    command::LOGIN_FAILURE
                };
                let answer = frame(reply, self.reply_id(id), &failure(code));
                let delivery = Delivery {
                    answer,
                    ..Delivery::default()
                };
                self.outlet
                    .deliver(Phase::Login, &self.script, delivery)
                    .await
            }
        }
    }

    /// Lets a login in, with the other open sessions, or refuses it with a code.
    fn decide(&mut self, command: u32, payload: &[u8]) -> Result<Vec<u64>, u32> {
        let live = self.device.live();
        let spec = &live.spec;
        let password = spec.password.reveal();
        let wanted = if spec.is_head() {
            command::HEAD_LOGIN
        } else {
            command::LOGIN
        };
        if command != wanted {
            self.violation(Violation::WrongVariant);
            return Err(CODE_VERSION);
        }
        let claim = if spec.is_head() {
            head_claim(payload, self.challenge.nonce, &spec.user, password)
        } else {
            standard_claim(payload, self.challenge.disguise, &spec.user, password)
        };
        let Some(Claim { username, valid }) = claim else {
            self.violation(Violation::LoginLength);
            return Err(CODE_VERSION);
        };
        if let Some(code) = self.script.login_code() {
            return Err(code);
        }
        match self.device.judge(&username, valid, &spec.lock) {
            Verdict::Welcome => self
                .device
                .session_started(self.connection, spec.client_limit)
                .ok_or_else(|| {
                    self.device.count(Counter::BusyRefusals, 1);
                    CODE_BUSY
                }),
            Verdict::Wrong => Err(CODE_WRONG),
            Verdict::WrongAndLocked => {
                self.device.count(Counter::Lockouts, 1);
                Err(CODE_WRONG)
            }
            Verdict::Locked => {
                self.device.count(Counter::LockedRefusals, 1);
                Err(spec.lock.code)
            }
        }
    }

    async fn welcome(&mut self, id: u32) -> Result<(), End> {
        let live = self.device.live();
        let reply_id = self.reply_id(id);
        if self.script.has(&Fault::UnknownLoginReply) {
            let answer = frame(command::UNKNOWN_REPLY, reply_id, &[0; 32]);
            let delivery = Delivery {
                answer,
                ..Delivery::default()
            };
            return self
                .outlet
                .deliver(Phase::Login, &self.script, delivery)
                .await;
        }
        let (payload, faithful) = live.login_payload(&self.script);
        if !live.spec.is_head() {
            let answer = frame(command::LOGIN_SUCCESS, reply_id, &payload);
            let delivery = Delivery {
                answer,
                ..Delivery::default()
            };
            return self
                .outlet
                .deliver(Phase::Login, &self.script, delivery)
                .await;
        }
        let short = u32::from(live.spec.short_frames.min(SHORT_FRAMES_MAX));
        let mut before: Vec<Vec<u8>> = (0..short)
            .map(|number| {
                frame(
                    command::HEAD_SHORT_FRAME.wrapping_add(number),
                    reply_id,
                    &[0; 4],
                )
            })
            .collect();
        if short > 0 {
            before.push(HEARTBEAT.to_vec());
        }
        let answer = frame(live.spec.head_reply_command, reply_id, &payload);
        let delivery = Delivery {
            before,
            answer,
            after: Vec::new(),
        };
        self.outlet
            .deliver(Phase::Login, &self.script, delivery)
            .await?;
        if faithful && !self.script.distorts(Phase::Login) {
            self.scan_completed();
        }
        Ok(())
    }

    async fn tunnel(&mut self, id: u32, payload: &[u8]) -> Result<(), End> {
        self.device.count(Counter::TunnelRequests, 1);
        let Some(request) = TunnelRequest::decode(payload) else {
            self.violation(Violation::BadTunnelRequest);
            return Ok(());
        };
        let live = self.device.live();
        if !live.spec.pass_through || self.script.has(&Fault::TunnelMute) {
            self.outlet.presence.answer();
            return Ok(());
        }
        let answer = live
            .answer(&request.path)
            .filter(|_| request.method == "GET");
        let distorted = answer
            .zip(self.script.tunnel_body())
            .map(|(answer, body)| answer.distorted(body));
        let content = match (&distorted, answer) {
            (Some(content), _) => content.as_slice(),
            (None, Some(answer)) => &answer.content,
            (None, None) => live.not_found(),
        };
        let seq = self.script.tunnel_sequence();
        let delta = self.script.content_length_delta();
        let length = wire_len(content.len()).wrapping_add_signed(delta.unwrap_or(0));
        let mut payload = tunnel_reply(seq.unwrap_or(request.seq), length, content);
        if self.script.has(&Fault::TunnelTrailingNul) {
            payload.push(0);
        }
        let channel_list = answer.is_some_and(|answer| answer.channel_list)
            && distorted.is_none()
            && delta.is_none()
            && !self.script.distorts(Phase::Tunnel);
        let answer = frame(command::TUNNEL_REPLY, self.reply_id(id), &payload);
        let delivery = Delivery {
            answer,
            ..Delivery::default()
        };
        self.outlet
            .deliver(Phase::Tunnel, &self.script, delivery)
            .await?;
        if channel_list {
            self.scan_completed();
        }
        Ok(())
    }

    /// A deadline passed without an arrival.
    async fn on_time(&mut self, heartbeat_at: &mut Option<Instant>) -> Result<(), End> {
        let now = Instant::now();
        self.check_overlap();
        if self.hang_up_at().is_some_and(|at| at <= now) {
            return self.give_up(Violation::LeftOpen);
        }
        if heartbeat_at.is_some_and(|at| at <= now) {
            self.outlet.packet(&HEARTBEAT).await?;
            *heartbeat_at = self.next_heartbeat();
        }
        Ok(())
    }

    fn next_heartbeat(&self) -> Option<Instant> {
        after(Instant::now(), self.device.live().spec.heartbeat_ms)
    }

    fn hang_up_at(&self) -> Option<Instant> {
        after(self.quiet_since, self.device.live().spec.idle_limit_ms)
    }

    /// When sessions that overlapped at login must be down to this one.
    fn overlap_at(&self) -> Option<Instant> {
        match &self.stage {
            Stage::LoggedIn { others, since } if !others.is_empty() => {
                since.checked_add(OVERLAP_GRACE)
            }
            Stage::LoggedIn { .. } | Stage::Greeted | Stage::Refused => None,
        }
    }

    /// Records sessions that still overlap, once.
    ///
    /// Called for the first frame after the login or when the grace is over, whichever is first:
    /// by then the end of a session that the client closed before has been read.
    fn check_overlap(&mut self) {
        if let Stage::LoggedIn { others, .. } = &mut self.stage
            && self.device.sessions_overlap(&std::mem::take(others))
        {
            self.violation(Violation::ParallelSession);
        }
    }

    fn scan_completed(&mut self) {
        if !std::mem::replace(&mut self.scanned, true) {
            self.device.count(Counter::ScansCompleted, 1);
        }
    }

    fn reply_id(&self, id: u32) -> u32 {
        match self.device.live().spec.reply_id {
            ReplyId::Echo => id,
            ReplyId::Zero => 0,
        }
    }

    fn violation(&self, violation: Violation) {
        self.device.violation(violation, self.connection);
    }

    fn give_up(&self, violation: Violation) -> Result<(), End> {
        self.violation(violation);
        Err(End::Close)
    }
}

fn after(start: Instant, ms: u64) -> Option<Instant> {
    (ms > 0)
        .then(|| start.checked_add(Duration::from_millis(ms)))
        .flatten()
}
