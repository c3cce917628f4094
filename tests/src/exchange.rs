//! A scan of a camera as both sides put it on the wire, for captures.

use tvtfleet_proto::device::tvt::{
    CommandId, Frame, HEARTBEAT, INIT_LEN, Init, KeySource, LoginPlan, tunnel_request,
};
use tvtfleet_proto::model::secret::{Credential, Secret};

/// The user name in the exchange.
pub const USERNAME: &str = "operator";
/// The password in the exchange; nothing that explains it may show it.
pub const PASSWORD: &str = "Zq7#vW-k9!pLx2";
/// The device's name in the exchange.
pub const DEVICE_NAME: &str = "Front gate";
/// The answer to the request inside the session.
pub const HTTP_ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"IPCInfo\":[{\"szChlname\":\"Gate\",\"szServer\":\"10.0.0.21\",\"password\":\"Zq7#vW-k9!pLx2\"}]}";

const MAC: [u8; 6] = [0x58, 0x5B, 0x69, 0x10, 0x00, 0x0B];

/// One message: whether the client sent it, and its bytes.
pub type Message = (bool, Vec<u8>);

/// The messages of a scan of a camera, one unit each.
///
/// # Panics
///
/// The codec refuses its own greeting.
#[must_use]
pub fn camera_scan() -> Vec<Message> {
    let greeting = greeting();
    let init = Init::parse(&greeting).expect("a greeting");
    let plan = LoginPlan::choose(&init, KeySource::LoginBytes).expect("a known login");
    let credential = Credential {
        username: USERNAME.to_owned(),
        password: Secret::new(PASSWORD),
    };
    let login = plan.request(&credential).expect("a credential that fits");
    let path = "/queryIPCInfo";
    vec![
        (false, greeting),
        (false, HEARTBEAT.to_vec()),
        (true, login),
        (false, reply(0x0100_0B01, vec![0; 8])),
        (false, reply(CommandId::LOGIN_ACCEPTED.0, accepted())),
        (true, tunnel_request(path, 1)),
        (
            false,
            reply(
                CommandId::TUNNEL_REPLY.0,
                tunnel_answer(HTTP_ANSWER.as_bytes()),
            ),
        ),
        (true, Frame::logout().encode()),
    ]
}

/// The greeting of a camera that wants the password under XOR.
#[must_use]
pub fn greeting() -> Vec<u8> {
    fields(
        INIT_LEN,
        &[
            (0, b"head"),
            (4, &[2]),
            (12, &[3]),
            (32, &MAC),
            (40, &0x0104_0A00_u32.to_le_bytes()),
            (44, &[2, 0x71, 0x0C, 0xE5]),
        ],
    )
}

fn accepted() -> Vec<u8> {
    fields(
        200,
        &[
            (0, &4096_u32.to_le_bytes()),
            (40, &u32::MAX.to_le_bytes()),
            (44, &[0, 0x0A, 4, 1]),
            (48, &20_230_510_u32.to_le_bytes()),
            (52, &MAC),
            (58, DEVICE_NAME.as_bytes()),
            (108, &[1]),
        ],
    )
}

/// `length` zeros with these fields at their offsets.
fn fields(length: usize, fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for (at, field) in fields {
        for (target, byte) in bytes.iter_mut().skip(*at).zip(*field) {
            *target = *byte;
        }
    }
    bytes
}

fn tunnel_answer(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("a short answer");
    [
        &length.to_le_bytes()[..],
        &1_u32.to_le_bytes(),
        &[0; 64],
        content,
    ]
    .concat()
}

fn reply(id: u32, payload: Vec<u8>) -> Vec<u8> {
    Frame::new(CommandId(id), 0, 0, payload).encode()
}
