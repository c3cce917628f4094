//! One connection to the web interfaces.

use std::future::pending;

use tokio::net::TcpStream;

use super::http::{Answer, Request, read, write};
use super::spec::{WebFault, WebSpec};
use super::{api, bomb, cgi};
use crate::alarm;
use crate::device::{Counter, Device};

/// Bytes of an endless body before the device tires.
const ENDLESS: usize = 64 * 1024 * 1024;

/// Answers requests until the client leaves.
pub(crate) async fn serve(device: &Device, mut stream: TcpStream) {
    // A delay here is no error, only slower.
    let _ = stream.set_nodelay(true);
    let mut held = Vec::new();
    while let Some(request) = read(&mut stream, &mut held).await {
        let down = device.web_state().down_until;
        if down.is_some_and(|until| std::time::Instant::now() < until) {
            return;
        }
        device.count(Counter::HttpRequests, 1);
        device.gates_passed().await;
        alarm::wait(device.latency()).await;
        let Some(web) = device.live().spec.web.clone() else {
            return;
        };
        let answer = answer(device, &web, &request);
        if !send(&mut stream, web.fault.as_ref(), answer).await {
            return;
        }
    }
}

fn answer(device: &Device, web: &WebSpec, request: &Request) -> Answer {
    let name = request.path.trim_start_matches('/');
    if cgi::COMMANDS.contains(&name) {
        cgi::answer(device, web, request)
    } else {
        // A cookie without a name or value, as live recorders send it.
        api::answer(device, web, request).with("Set-Cookie", "Secure; HttpOnly".to_owned())
    }
}

fn packed(answer: Answer, encoding: &str) -> Answer {
    let answer = Answer {
        body: bomb::body(encoding),
        ..answer
    };
    if encoding.is_empty() {
        return answer;
    }
    answer.with("Content-Encoding", encoding.to_owned())
}

/// Sends an answer, or what a fault makes of it. Says whether the connection goes on.
async fn send(stream: &mut TcpStream, fault: Option<&WebFault>, answer: Answer) -> bool {
    match answer.status {
        0 => return false,
        1 => return pending().await,
        _ => {}
    }
    let whole = |answer: &Answer| answer.encode(answer.body.len());
    match fault {
        None => write(stream, &whole(&answer)).await,
        Some(WebFault::Status(status)) => write(stream, &whole(&Answer::page(*status))).await,
        Some(WebFault::Html) => write(stream, &whole(&Answer::page(200))).await,
        Some(WebFault::Redirect(to)) => {
            let away = Answer::page(302).with("Location", to.clone());
            write(stream, &whole(&away)).await
        }
        Some(WebFault::Truncated) => {
            let announced = answer.body.len().saturating_mul(2).max(10);
            let _ = write(stream, &answer.encode(announced)).await;
            false
        }
        Some(WebFault::Bomb(encoding)) => write(stream, &whole(&packed(answer, encoding))).await,
        Some(WebFault::HalfBomb(encoding)) => {
            let mut packed = packed(answer, encoding);
            let announced = packed.body.len();
            packed.body.truncate(announced / 2);
            let _ = write(stream, &packed.encode(announced)).await;
            false
        }
        Some(WebFault::Endless) => {
            let endless = Answer {
                body: Vec::new(),
                ..answer
            };
            let mut going = write(stream, &endless.encode(ENDLESS)).await;
            let mut sent = 0;
            while going && sent < ENDLESS {
                going = write(stream, &[b' '; 65_536]).await;
                sent += 65_536;
            }
            false
        }
        Some(WebFault::Mute) => pending().await,
    }
}
