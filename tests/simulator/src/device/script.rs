//! The faults that strike one connection.

use std::time::Duration;

use super::fault::{Fault, FaultRule, ForeignServer, Phase, TunnelBody};
use super::random::Random;

/// The faults of one connection, asked one by one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script(Vec<Fault>);

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "each question is about one fault"
)]
impl Script {
    /// Draws the faults of a connection, counted from 1.
    pub(crate) fn draw(
        rules: impl Iterator<Item = FaultRule>,
        connection: u64,
        random: &mut Random,
    ) -> Self {
        let mut strikes = |rule: &FaultRule| {
            // Drawn in any case, so that a position does not shift the luck of later rules.
            let lucky = random.chance(rule.probability);
            lucky && (rule.connections.is_empty() || rule.connections.contains(&connection))
        };
        Self(
            rules
                .filter(|rule| strikes(rule))
                .map(|rule| rule.fault)
                .collect(),
        )
    }

    /// Says whether this very fault strikes.
    pub(crate) fn has(&self, fault: &Fault) -> bool {
        self.0.contains(fault)
    }

    /// Says whether a client cannot read the answer of this phase as it was meant.
    pub(crate) fn distorts(&self, phase: Phase) -> bool {
        self.frame_length(phase).is_some()
            || self.payload_delta(phase).is_some()
            || self.cut(phase).is_some()
    }

    /// Time between greeting bytes.
    pub(crate) fn drip(&self) -> Option<Duration> {
        self.find(|fault| match fault {
            Fault::GreetingDrip { ms } => Some(Duration::from_millis(*ms)),
            _ => None,
        })
    }

    /// Device type word of the greeting.
    pub(crate) fn dev_type(&self) -> Option<u32> {
        self.find(|fault| match fault {
            Fault::DevType { value } => Some(*value),
            _ => None,
        })
    }

    /// Heartbeats on top of the usual one after the greeting.
    pub(crate) fn extra_heartbeats(&self) -> Option<u16> {
        self.find(|fault| match fault {
            Fault::ExtraHeartbeats { count } => Some(*count),
            _ => None,
        })
    }

    /// What listens instead of the recorder.
    pub(crate) fn foreign(&self) -> Option<ForeignServer> {
        self.find(|fault| match fault {
            Fault::ForeignServer { server } => Some(*server),
            _ => None,
        })
    }

    /// Code of every login.
    pub(crate) fn login_code(&self) -> Option<u32> {
        self.find(|fault| match fault {
            Fault::LoginCode { code } => Some(*code),
            _ => None,
        })
    }

    /// Length of the login success payload.
    pub(crate) fn login_reply_size(&self) -> Option<u16> {
        self.find(|fault| match fault {
            Fault::LoginReplySize { size } => Some(*size),
            _ => None,
        })
    }

    /// Channel count that the head reply announces.
    pub(crate) fn head_count(&self) -> Option<u16> {
        self.find(|fault| match fault {
            Fault::HeadCount { count } => Some(*count),
            _ => None,
        })
    }

    /// Added to the content length of tunnel replies.
    pub(crate) fn content_length_delta(&self) -> Option<i32> {
        self.find(|fault| match fault {
            Fault::TunnelContentLength { delta } => Some(*delta),
            _ => None,
        })
    }

    /// Sequence number of tunnel replies.
    pub(crate) fn tunnel_sequence(&self) -> Option<u32> {
        self.find(|fault| match fault {
            Fault::TunnelSequence { seq } => Some(*seq),
            _ => None,
        })
    }

    /// What tunnel replies hold.
    pub(crate) fn tunnel_body(&self) -> Option<TunnelBody> {
        self.find(|fault| match fault {
            Fault::TunnelBody { body } => Some(*body),
            _ => None,
        })
    }

    /// Wait before anything is sent.
    pub(crate) fn stall(&self, phase: Phase) -> Option<Duration> {
        self.find(|fault| match fault {
            Fault::Stall { phase: at, ms } if *at == phase => Some(Duration::from_millis(*ms)),
            _ => None,
        })
    }

    /// Status frames in front of the answer.
    pub(crate) fn pushed(&self, phase: Phase) -> Option<u16> {
        self.find(|fault| match fault {
            Fault::Pushed { phase: at, count } if *at == phase => Some(*count),
            _ => None,
        })
    }

    /// Bytes of the answer that are sent before the end.
    pub(crate) fn cut(&self, phase: Phase) -> Option<usize> {
        self.find(|fault| match fault {
            Fault::CloseMidFrame {
                phase: at,
                at: bytes,
            } if *at == phase => Some(*bytes),
            _ => None,
        })
    }

    /// Length of the first part, and the time until the second.
    pub(crate) fn split(&self, phase: Phase) -> Option<(usize, Duration)> {
        self.find(|fault| match fault {
            Fault::Split {
                phase: at,
                at: bytes,
                ms,
            } if *at == phase => Some((*bytes, Duration::from_millis(*ms))),
            _ => None,
        })
    }

    /// Frame length word.
    pub(crate) fn frame_length(&self, phase: Phase) -> Option<u32> {
        self.find(|fault| match fault {
            Fault::FrameLength { phase: at, value } if *at == phase => Some(*value),
            _ => None,
        })
    }

    /// Added to the payload length word.
    pub(crate) fn payload_delta(&self, phase: Phase) -> Option<i32> {
        self.find(|fault| match fault {
            Fault::PayloadLength { phase: at, delta } if *at == phase => Some(*delta),
            _ => None,
        })
    }

    fn find<T>(&self, fit: impl FnMut(&Fault) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(fit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_drawn_by_position_and_seed() {
        let rules = [
            FaultRule::on(Fault::NoGreeting, [2]),
            FaultRule {
                probability: 0.5,
                ..FaultRule::always(Fault::AckFirst)
            },
        ];
        let draw = |connection| {
            let mut random = Random::new(4, connection);
            Script::draw(rules.iter().cloned(), connection, &mut random)
        };
        assert!(!draw(1).has(&Fault::NoGreeting));
        assert!(draw(2).has(&Fault::NoGreeting));
        let hits = || {
            (0..1000)
                .filter(|number| draw(*number).has(&Fault::AckFirst))
                .count()
        };
        assert!((400..600).contains(&hits()), "{} of 1000", hits());
        assert_eq!(hits(), hits());
    }

    #[test]
    fn phases_are_kept_apart() {
        let rules = [FaultRule::always(Fault::FrameLength {
            phase: Phase::Login,
            value: 8,
        })];
        let script = Script::draw(rules.into_iter(), 1, &mut Random::new(1, 1));
        assert_eq!(script.frame_length(Phase::Login), Some(8));
        assert_eq!(script.frame_length(Phase::Tunnel), None);
        assert!(script.distorts(Phase::Login) && !script.distorts(Phase::Tunnel));
    }
}
