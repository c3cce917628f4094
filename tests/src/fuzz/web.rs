//! Answers of the web interfaces.

use tvtfleet_proto::device::cgi::{self, Command};
use tvtfleet_proto::device::http::{Response, challenges, strongest};
use tvtfleet_proto::device::webapi::{self, Dialect, Scope};
use tvtfleet_proto::device::xml::Document;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::secret::{Credential, Secret};

/// Questions to one device before it is taken to be endless.
const QUESTIONS_MAX: usize = 600;
const PASSWORD: &str = "Tundra#4471";

/// Reads a document, writes it, and reads it again.
///
/// # Panics
///
/// Where the second reading differs.
pub fn xml(bytes: &[u8]) {
    if let Ok(document) = Document::read(bytes) {
        let written = document.root.to_document();
        let again = Document::read(written.as_bytes()).map(|document| document.root);
        // Text of several pieces is written as one, with its inner white space.
        assert_eq!(
            again.as_ref(),
            Ok(&document.root),
            "reading reverses writing"
        );
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = strongest(&challenges([text.as_ref()]));
}

/// Gives the same answer to every question of the web API; byte 0 is the ask, byte 1 the status.
///
/// # Panics
///
/// Where an errand does not end, or a failure shows the password.
pub fn webapi(bytes: &[u8]) {
    let Some((ask, response)) = split(bytes) else {
        return;
    };
    for dialect in [Dialect::Flat, Dialect::Lapi] {
        let Some(mut errand) = webapi::Errand::new(ask, None) else {
            return;
        };
        let mut session = webapi::Session::new(Some(dialect));
        for asked in 0.. {
            assert!(asked < QUESTIONS_MAX, "an errand ends");
            let Some(query) = errand.question() else {
                break;
            };
            let sent = session.request(query, &Scope::default(), Some(&credential()), 1);
            let Ok(_) = sent else {
                break;
            };
            let answer = match session.read(&response) {
                Ok(webapi::Step::Done(root)) => Ok(root),
                Ok(webapi::Step::Login(_)) => {
                    session.login();
                    continue;
                }
                Ok(webapi::Step::Again) => continue,
                Err(trouble) => Err(trouble),
            };
            if let Err(trouble) = errand.take(dialect, answer) {
                assert!(!trouble.text.contains(PASSWORD), "no password is told");
                break;
            }
        }
        let _ = errand.finish();
    }
}

/// Gives the same answer to every command of a recorder's pages; byte 0 is the ask, byte 1 the status.
///
/// # Panics
///
/// Where an errand does not end, or a failure shows the password.
pub fn cgi(bytes: &[u8]) {
    let Some((ask, response)) = split(bytes) else {
        return;
    };
    let mut session = cgi::Session::default();
    let _ = session.hello();
    if session.on_hello(&response).is_ok() && session.login(&credential()).is_ok() {
        let outcome = session.on_login(&credential(), &response);
        assert!(
            outcome.is_ok() == session.logged_in(),
            "a refused login opens no session"
        );
    }
    let Some(mut errand) = cgi::Errand::new(ask, None) else {
        return;
    };
    for asked in 0.. {
        assert!(asked < QUESTIONS_MAX, "an errand ends");
        let Some(command) = errand.question() else {
            break;
        };
        assert!(!session.ask(command, &credential()).body.contains(PASSWORD));
        let answer = session.read(&response);
        if errand.take("10.0.0.1", answer).is_err() {
            break;
        }
    }
    let _ = errand.finish();
    assert!(Command::Basic.parts().is_empty());
}

fn split(bytes: &[u8]) -> Option<(Ask, Response)> {
    let (first, rest) = bytes.split_first()?;
    let (status, body) = rest.split_first()?;
    let ask = *Ask::ALL.get(usize::from(*first) % Ask::ALL.len())?;
    let response = Response {
        status: [200, 400, 401, 403, 404, 500][usize::from(*status) % 6],
        headers: vec![(
            "WWW-Authenticate".to_owned(),
            String::from_utf8_lossy(body.get(..200).unwrap_or(body)).into_owned(),
        )],
        body: body.to_vec(),
    };
    Some((ask, response))
}

fn credential() -> Credential {
    Credential {
        username: "admin".to_owned(),
        password: Secret::new(PASSWORD),
    }
}
