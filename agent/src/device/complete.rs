//! Puts what the web interfaces say beside what the binary protocol left out.

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::channel::Channel;

use super::interface::Answer;

/// Fills what is missing; what the binary protocol said stays.
pub(crate) fn complete(answer: &mut Answer, more: Answer) {
    let fill = |text: &mut String, more: String| {
        if text.is_empty() {
            *text = more;
        }
    };
    let (facts, found) = (&mut answer.facts, more.facts);
    fill(&mut facts.name, found.name);
    fill(&mut facts.model, found.model);
    fill(&mut facts.serial, found.serial);
    fill(&mut facts.firmware, found.firmware);
    facts.mac = facts.mac.or(found.mac);
    facts.total_channels = facts.total_channels.or(found.total_channels);
    for channel in &mut answer.channels {
        if let Some(found) = more
            .channels
            .iter()
            .find(|found| found.label == channel.label)
        {
            fill_channel(channel, found);
        }
    }
    let addressed = !answer.channels.is_empty() && answer.channels.iter().all(Channel::has_address);
    if addressed {
        answer
            .warnings
            .retain(|code| *code != ErrorCode::AddressesUnknown);
    }
}

fn fill_channel(channel: &mut Channel, found: &Channel) {
    let pairs = [
        (&mut channel.name, &found.name),
        (&mut channel.address, &found.address),
        (&mut channel.protocol, &found.protocol),
        (&mut channel.model, &found.model),
    ];
    for (text, more) in pairs {
        if text.is_empty() {
            text.clone_from(more);
        }
    }
    if channel.port == 0 {
        channel.port = found.port;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::model::channel::{ChannelLabel, ChannelStatus, StatusSource};

    fn channel(number: i64, address: &str) -> Channel {
        Channel {
            label: ChannelLabel::Number(number),
            name: String::new(),
            address: address.into(),
            port: 0,
            status: ChannelStatus::Online,
            status_source: StatusSource::LoginRecord,
            protocol: String::new(),
            model: String::new(),
        }
    }

    #[test]
    fn what_the_protocol_said_stays() {
        let mut answer = Answer {
            channels: vec![channel(1, ""), channel(28, "")],
            warnings: vec![ErrorCode::AddressesUnknown],
            ..Answer::default()
        };
        answer.facts.firmware = "1.4.7.0".into();
        let mut more = Answer {
            channels: vec![channel(28, "10.0.0.28")],
            ..Answer::default()
        };
        more.facts.firmware = "1.4.7.10001B".into();
        more.facts.serial = "N1".into();
        complete(&mut answer, more.clone());
        assert_eq!(
            (answer.facts.firmware.as_str(), answer.facts.serial.as_str()),
            ("1.4.7.0", "N1")
        );
        assert_eq!(answer.channels[1].address, "10.0.0.28");
        assert_eq!(
            answer.warnings,
            [ErrorCode::AddressesUnknown],
            "channel 1 has none yet"
        );
        more.channels = vec![channel(1, "10.0.0.1")];
        complete(&mut answer, more);
        assert!(answer.warnings.is_empty());
    }
}
