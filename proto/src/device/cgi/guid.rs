//! How commands name channels: a GUID whose first group is the number in hexadecimal.

/// The GUID of a channel, from 1.
#[must_use]
pub fn channel_guid(channel: u32) -> String {
    format!("{{{channel:08X}-0000-0000-0000-000000000000}}")
}

/// The channel of a GUID; `None` for one of another form.
#[must_use]
pub fn channel_number(guid: &str) -> Option<u32> {
    let inner = guid.trim().trim_start_matches('{').trim_end_matches('}');
    let (first, rest) = inner.split_once('-')?;
    let zeros = rest.len() == 27 && rest.bytes().all(|byte| byte == b'0' || byte == b'-');
    if first.len() != 8 || !zeros {
        return None;
    }
    u32::from_str_radix(first, 16)
        .ok()
        .filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn other_guids_are_no_channels() {
        for text in [
            "",
            "{0000000A}",
            "{0000000A-0000-0000-0000-00000000000}",
            "{A0000001-0000-0000-0000-000000000001}",
        ] {
            assert_eq!(channel_number(text), None, "{text}");
        }
        assert_eq!(
            channel_number("{00000000-0000-0000-0000-000000000000}"),
            None
        );
    }

    proptest! {
        #[test]
        fn reading_reverses_writing(channel in 1_u32..) {
            prop_assert_eq!(channel_number(&channel_guid(channel)), Some(channel));
        }
    }
}
