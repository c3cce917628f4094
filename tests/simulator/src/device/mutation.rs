//! Changes to a running recorder.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fault::FaultRule;
use super::spec::DeviceSpec;
use super::value::{Firmware, Password};
use crate::video::RtspSpec;
use crate::web::WebSpec;

/// Keys under which a camera object may carry its channel.
const CHANNEL_KEYS: [&str; 3] = ["channel", "Channel", "ChannelNo"];
/// Keys under which a camera object may carry its name.
const NAME_KEYS: [&str; 6] = [
    "szChlname",
    "ChannelName",
    "channelName",
    "name",
    "CameraName",
    "cameraName",
];
/// Keys under which a camera object may carry its status.
const STATUS_KEYS: [&str; 3] = ["status", "Status", "OnlineStatus"];

/// One change to a running recorder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
pub enum Mutation {
    /// Gives a camera another name.
    RenameCamera {
        /// Channel as the camera object has it: a number or a text.
        channel: Value,
        /// New name.
        name: String,
    },
    /// Takes a camera offline or brings it back.
    SetCameraOnline {
        /// Channel as the camera object has it: a number or a text.
        channel: Value,
        /// Whether it is online.
        online: bool,
    },
    /// Adds a camera object.
    AddCamera {
        /// The object.
        camera: Value,
    },
    /// Removes a camera.
    RemoveCamera {
        /// Channel as the camera object has it: a number or a text.
        channel: Value,
    },
    /// Gives the recorder another name.
    RenameDevice {
        /// New name.
        name: String,
    },
    /// Installs another firmware.
    SetFirmware {
        /// New version.
        firmware: Firmware,
    },
    /// Changes the password.
    SetPassword {
        /// New password.
        password: Password,
    },
    /// Replaces the faults; connections that are open keep theirs.
    SetFaults {
        /// New faults.
        faults: Vec<FaultRule>,
    },
    /// Changes the web interfaces; the port stays.
    SetWeb {
        /// What they are from now on.
        web: WebSpec,
    },
    /// Changes the RTSP server; the port stays.
    SetRtsp {
        /// What it is from now on.
        rtsp: RtspSpec,
    },
    /// Ends every session of the pages and forgets every nonce.
    EndWebSessions,
    /// Switches the recorder off: nothing listens, connections are dropped.
    Remove,
    /// Switches it on again at the same address.
    Restore,
    /// Forgets wrong logins and locks, as a reboot does.
    ClearLocks,
}

/// Why a change cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum MutationError {
    /// No camera has this channel.
    #[error("no channel {0}")]
    NoChannel(Value),
    /// The address cannot be bound again.
    #[error("cannot listen again")]
    Listen(#[from] io::Error),
}

/// Returns the description after a change of state.
pub(crate) fn changed(
    mut spec: DeviceSpec,
    mutation: Mutation,
) -> Result<DeviceSpec, MutationError> {
    match mutation {
        Mutation::RenameCamera { channel, name } => {
            let camera = camera(&mut spec, &channel).ok_or(MutationError::NoChannel(channel))?;
            set(camera, &NAME_KEYS, Value::String(name));
        }
        Mutation::SetCameraOnline { channel, online } => {
            let mut found = false;
            if let Some(camera) = camera(&mut spec, &channel) {
                let textual = STATUS_KEYS
                    .iter()
                    .any(|key| camera.get(*key).is_some_and(Value::is_string));
                let word = if online { "Online" } else { "Offline" };
                let status = if textual {
                    Value::from(word)
                } else {
                    Value::from(u8::from(online))
                };
                set(camera, &STATUS_KEYS, status);
                found = true;
            }
            for (number, state) in &mut spec.channels {
                if channel == *number {
                    *state = online;
                    found = true;
                }
            }
            if !found {
                return Err(MutationError::NoChannel(channel));
            }
        }
        Mutation::AddCamera { camera } => {
            if spec.is_head() {
                let number = channel_of(&camera).and_then(Value::as_u64);
                spec.channels.extend(
                    number
                        .and_then(|number| u32::try_from(number).ok())
                        .map(|number| (number, true)),
                );
            }
            spec.cameras.push(camera);
        }
        Mutation::RemoveCamera { channel } => {
            let before = (spec.cameras.len(), spec.channels.len());
            spec.cameras
                .retain(|camera| channel_of(camera) != Some(&channel));
            spec.channels.retain(|(number, _)| channel != *number);
            if before == (spec.cameras.len(), spec.channels.len()) {
                return Err(MutationError::NoChannel(channel));
            }
        }
        Mutation::RenameDevice { name } => spec.name = name,
        Mutation::SetFirmware { firmware } => spec.firmware = firmware,
        Mutation::SetPassword { password } => spec.password = password,
        Mutation::SetWeb { web } => spec.web = Some(web),
        Mutation::SetRtsp { rtsp } => spec.rtsp = Some(rtsp),
        Mutation::SetFaults { faults } => spec.faults = faults,
        // These three change what runs, not what it is; the device sees to them.
        Mutation::Remove | Mutation::Restore | Mutation::EndWebSessions | Mutation::ClearLocks => {}
    }
    Ok(spec)
}

fn camera<'a>(spec: &'a mut DeviceSpec, channel: &Value) -> Option<&'a mut Value> {
    spec.cameras
        .iter_mut()
        .find(|camera| channel_of(camera) == Some(channel))
}

fn channel_of(camera: &Value) -> Option<&Value> {
    CHANNEL_KEYS.iter().find_map(|key| camera.get(*key))
}

/// Sets the first key that is there; else the first of the list.
fn set(camera: &mut Value, keys: &[&str], value: Value) {
    let present = keys.iter().find(|key| camera.get(**key).is_some());
    if let (Some(key), Some(object)) = (present.or(keys.first()), camera.as_object_mut()) {
        object.insert((*key).to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec() -> DeviceSpec {
        let mut spec = DeviceSpec::new("127.0.0.1:0".parse().unwrap());
        spec.cameras = vec![
            json!({"channel": 1, "szChlname": "Gate", "status": 1}),
            json!({"ChannelNo": "D2", "ChannelName": "Yard", "OnlineStatus": "Online"}),
        ];
        spec.channels = vec![(1, true)];
        spec
    }

    #[test]
    fn cameras_change_under_the_keys_they_have() {
        let mutation: Mutation = serde_json::from_value(
            json!({"change": "rename_camera", "channel": "D2", "name": "Hof"}),
        )
        .unwrap();
        let after = changed(spec(), mutation).unwrap();
        assert_eq!(after.cameras[1]["ChannelName"], "Hof");
        let off = |channel: Value| Mutation::SetCameraOnline {
            channel,
            online: false,
        };
        let after = changed(after, off(json!(1))).unwrap();
        let after = changed(after, off(json!("D2"))).unwrap();
        assert_eq!(after.cameras[0]["status"], 0);
        assert_eq!(after.cameras[1]["OnlineStatus"], "Offline");
        assert_eq!(after.channels, [(1, false)]);
    }

    #[test]
    fn a_missing_channel_is_an_error() {
        let rename = Mutation::RenameCamera {
            channel: json!(9),
            name: "x".to_owned(),
        };
        assert!(matches!(
            changed(spec(), rename),
            Err(MutationError::NoChannel(_))
        ));
        let remove = Mutation::RemoveCamera { channel: json!(1) };
        let after = changed(spec(), remove.clone()).unwrap();
        assert_eq!((after.cameras.len(), after.channels.len()), (1, 0));
        assert!(changed(after, remove).is_err());
    }
}
