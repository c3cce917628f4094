//! The interface behind the recorders' own web pages (NVMS-9000): one XML document per command, a
//! login with token and cookie. Cameras do not speak it.
//!
//! Wire sources: pytvt 0.5.1 and its later versions, the public source of the pages, and a field study
//! of one recorder. Shapes known from the pages only are marked where they are read.

mod cipher;
mod command;
mod edit;
mod errand;
mod failure;
mod guid;
mod key_pair;
mod login;
mod read;
mod session;

pub use cipher::SessionKey;
pub use command::{Command, UtcRange, envelope};
pub use edit::{plans, set_password};
pub use errand::Errand;
pub use failure::{Action, Failure};
pub use guid::{channel_guid, channel_number};
pub use key_pair::KeyPair;
pub use login::{cookies, password_text, proof, proof_with_key};
pub use read::{
    Api, Rtsp, api_server, audio, basic, channels, day_list, device_list, disks, motion, online,
    password_policy, platform, ports, recording, rtsp_server, segments, streams, users,
};
pub use session::{Reply, Session, Variant};
