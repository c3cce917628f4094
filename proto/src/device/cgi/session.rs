//! A conversation with one recorder: greeting, login, commands, logout.

use crate::device::http::{Request, Response, Trouble, basic};
use crate::device::xml::{Document, Element};
use crate::error::ErrorCode;
use crate::model::secret::{Credential, Secret};

use super::cipher::SessionKey;
use super::command::{Command, envelope, login_content};
use super::failure::{Action, Failure};
use super::key_pair::KeyPair;
use super::login::{cookies, legacy_text, proof, proof_with_key};

/// Characters of a token or nonce.
const TOKEN_MAX: usize = 512;

/// How a recorder wants to be logged in to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// A proof; the token came with the greeting.
    Classic,
    /// A proof; the token comes with the login's answer.
    Modern,
    /// As the modern one, with a public key that the session's key is sent to.
    Keyed,
    /// The password itself, and HTTP Basic afterwards.
    Legacy,
}

/// An answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The root.
    pub root: Element,
    /// Whether the recorder says that there is nothing.
    pub empty: bool,
}

impl Reply {
    /// The content, never the enumerations that stand beside it under the same names.
    ///
    /// # Errors
    ///
    /// `device.bad_answer` where a success has none.
    pub fn content(&self) -> Result<&Element, Trouble> {
        self.root
            .child("content")
            .ok_or_else(|| Trouble::shape("content"))
    }
}

/// The edit of platform access, and what it fails with where that was never set up; for other commands
/// the number is that of a parameter that is not good.
pub(super) const EDIT_PLATFORM: &str = "editPlatformCfg";
const NEVER_SET_UP: u32 = 536_870_943;

#[derive(Clone, Debug)]
enum Stage {
    Out,
    Greeted { nonce: String },
    OldGreeted,
    In,
}

/// The state of a conversation. Holds no password.
#[derive(Clone, Debug)]
pub struct Session {
    stage: Stage,
    variant: Variant,
    token: Option<Secret>,
    cookies: Vec<(String, Secret)>,
    key: Option<SessionKey>,
    key_pair: Option<Box<KeyPair>>,
    announces_keys: bool,
    security_version: Option<String>,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            stage: Stage::Out,
            variant: Variant::Modern,
            token: None,
            cookies: Vec::new(),
            key: None,
            key_pair: None,
            announces_keys: false,
            security_version: None,
        }
    }
}

impl Session {
    /// The greeting, which needs no credential. Forgets an earlier session.
    #[must_use]
    pub fn hello(&mut self) -> Request {
        *self = Self::default();
        envelope("reqLogin", None, Vec::new())
    }

    /// Takes the answer to the greeting and says how the recorder wants to be logged in to.
    ///
    /// # Errors
    ///
    /// `device.interface_absent`, `device.bad_answer` for what is no recorder, or the recorder's own.
    pub fn on_hello(&mut self, response: &Response) -> Result<Variant, Trouble> {
        let root = document(response)?;
        let content = root.child("content");
        let text = |name: &str| {
            content
                .and_then(|content| content.text_at(&[name]))
                .filter(|text| !text.is_empty() && text.len() <= TOKEN_MAX)
        };
        if let Some(number) = failure(&root) {
            let failure = Failure(number);
            if failure.action() == Action::AmbiguousReloginOnce {
                (self.stage, self.variant) = (Stage::OldGreeted, Variant::Legacy);
                return Ok(Variant::Legacy);
            }
            return Err(failure.trouble());
        }
        let nonce = text("nonce")
            .ok_or_else(|| Trouble::shape("nonce"))?
            .to_owned();
        self.token = text("token").map(Secret::new);
        self.cookies = cookies(response.all("set-cookie"), text("sessionId"))
            .into_iter()
            .map(|(name, value)| (name, Secret::new(value)))
            .collect();
        self.variant = if self.token.is_some() {
            Variant::Classic
        } else {
            Variant::Modern
        };
        self.announces_keys = text("securityVer").is_some();
        self.stage = Stage::Greeted { nonce };
        Ok(self.variant)
    }

    /// Whether the greeting hints at a recorder that wants a public key.
    ///
    /// UNCERTAIN: no source says how that is announced. Taken as: the greeting names a version of
    /// security, which older firmware does only after the login.
    #[must_use]
    pub const fn announces_keys(&self) -> bool {
        self.announces_keys
    }

    /// Logs in the newest way, which a recorder of the modern one refuses: a wrong guess is a failed
    /// try. Does nothing but for a recorder whose greeting fits it.
    pub fn send_key(&mut self, pair: KeyPair) {
        if self.variant == Variant::Modern && matches!(self.stage, Stage::Greeted { .. }) {
            self.variant = Variant::Keyed;
            self.key_pair = Some(Box::new(pair));
        }
    }

    /// The login. The greeting must have been answered.
    ///
    /// # Errors
    ///
    /// `internal` before a greeting.
    pub fn login(&self, credential: &Credential) -> Result<Request, Trouble> {
        let password = match &self.stage {
            Stage::Greeted { nonce } => match &self.key_pair {
                Some(pair) => proof_with_key(&credential.password, nonce, pair.public_pem()),
                None => proof(&credential.password, nonce),
            },
            Stage::OldGreeted => legacy_text(&credential.password),
            Stage::Out | Stage::In => {
                let text = "a login needs a greeting first";
                return Err(Trouble::new(ErrorCode::Internal, text, None));
            }
        };
        let key = self.key_pair.as_ref().map(|pair| pair.public_pem());
        let content = login_content(&credential.username, &password)
            .with_all(key.map(|pem| Element::cdata("rsaPublic", pem)));
        let token = self.token.as_ref().map(Secret::expose);
        let mut request = envelope("doLogin", token, vec![content]);
        request.has_credential = true;
        self.add_cookie(&mut request);
        Ok(request)
    }

    /// Takes the answer to the login.
    ///
    /// # Errors
    ///
    /// The refusal. Codes that lock accounts are told apart; how many tries remain is said.
    pub fn on_login(
        &mut self,
        credential: &Credential,
        response: &Response,
    ) -> Result<(), Trouble> {
        let root = document(response)?;
        let content = root.child("content");
        if let Some(number) = failure(&root) {
            return Err(refusal(Failure(number), &root));
        }
        let text = |name: &str| content.and_then(|content| content.text_at(&[name]));
        if text("passwordExpired") == Some("true") {
            let text = "the password has expired and must be changed first";
            return Err(Trouble::new(ErrorCode::PasswordChangeRequired, text, None));
        }
        if self.token.is_none() {
            self.token = text("token")
                .filter(|token| !token.is_empty() && token.len() <= TOKEN_MAX)
                .map(Secret::new);
        }
        // The pair has done its work; its memory is overwritten here.
        let pair = self.key_pair.take();
        self.key = text("sessionKey").and_then(|wrapped| match &pair {
            Some(pair) => pair.unwrap(wrapped),
            None => SessionKey::unwrap(wrapped, &credential.password),
        });
        self.security_version = text("securityVer")
            .filter(|text| !text.is_empty() && text.len() <= 16)
            .map(str::to_owned);
        self.stage = Stage::In;
        Ok(())
    }

    /// A command. The credential is shown only to a recorder that was logged in to the legacy way.
    #[must_use]
    pub fn request(&self, name: &str, parts: Vec<Element>, credential: &Credential) -> Request {
        let token = self.token.as_ref().map(Secret::expose);
        let mut request = envelope(name, token, parts);
        self.add_cookie(&mut request);
        if self.variant == Variant::Legacy {
            request.has_credential = true;
            request.headers.push(("authorization", basic(credential)));
        }
        request
    }

    /// A question.
    #[must_use]
    pub fn ask(&self, command: &Command, credential: &Credential) -> Request {
        self.request(command.name(), command.parts(), credential)
    }

    /// Takes the answer to a command.
    ///
    /// # Errors
    ///
    /// `device.session_expired` where a new login is needed; the session is then forgotten.
    pub fn read(&mut self, response: &Response) -> Result<Reply, Trouble> {
        let root = document(response)?;
        let Some(number) = failure(&root) else {
            return Ok(Reply { root, empty: false });
        };
        self.failed(root, number)
    }

    /// Takes the answer to a change by `command`, of which every item must have succeeded.
    ///
    /// # Errors
    ///
    /// As [`Self::read`]; `device.interface_absent` where the recorder's platform access was never set up.
    pub fn read_change(&mut self, command: &str, response: &Response) -> Result<Reply, Trouble> {
        let read = self
            .read(response)
            .and_then(|reply| match nested_failure(&reply.root) {
                Some(number) => self.failed(reply.root, number),
                None => Ok(reply),
            });
        read.map_err(|trouble| match trouble.wire_code {
            Some(NEVER_SET_UP) if command == EDIT_PLATFORM => {
                let text =
                    "platform access was never set up on this recorder: do so at its page first";
                Trouble::new(ErrorCode::InterfaceAbsent, text, NEVER_SET_UP)
            }
            _ => trouble,
        })
    }

    fn failed(&mut self, root: Element, number: u32) -> Result<Reply, Trouble> {
        let failure = Failure(number);
        match failure.action() {
            Action::EmptyResult => Ok(Reply { root, empty: true }),
            Action::NoChange => Ok(Reply { root, empty: false }),
            Action::Relogin => {
                *self = Self::default();
                Err(failure.trouble())
            }
            Action::AmbiguousReloginOnce
            | Action::StopCredentials
            | Action::StopLocked
            | Action::Permission
            | Action::Busy
            | Action::RangeTooWide
            | Action::InvalidParameter
            | Action::Unsupported
            | Action::Report => Err(failure.trouble()),
        }
    }

    /// The logout. UNCERTAIN: the name is taken from the pages; a recorder that counts sessions
    /// settles it. Does no harm where it is not known.
    #[must_use]
    pub fn logout(&mut self, credential: &Credential) -> Option<Request> {
        let request = self
            .logged_in()
            .then(|| self.request("doLogout", Vec::new(), credential));
        *self = Self::default();
        request
    }

    /// Whether commands can be sent.
    #[must_use]
    pub const fn logged_in(&self) -> bool {
        matches!(self.stage, Stage::In)
    }

    /// The token, where there is one.
    #[must_use]
    pub const fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// The key for the passwords of edits, where the recorder gave one.
    #[must_use]
    pub const fn key(&self) -> Option<&SessionKey> {
        self.key.as_ref()
    }

    /// The attribute that goes with encrypted fields.
    #[must_use]
    pub fn security_version(&self) -> Option<&str> {
        self.security_version.as_deref()
    }

    fn add_cookie(&self, request: &mut Request) {
        if self.cookies.is_empty() {
            return;
        }
        let pairs: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={}", value.expose()))
            .collect();
        request
            .headers
            .push(("cookie", Secret::new(pairs.join("; "))));
    }
}

fn document(response: &Response) -> Result<Element, Trouble> {
    if let Some(trouble) = Trouble::of_status(response) {
        return Err(trouble);
    }
    match Document::read(&response.body) {
        Ok(document) if document.root.name() == "response" => Ok(document.root),
        _ => Err(Trouble::unreadable(response)),
    }
}

/// The number of a failure at the outer level; 0 for a failure without one.
fn failure(root: &Element) -> Option<u32> {
    let number = root
        .number_at(&["errorCode"])
        .or_else(|| root.number_at(&["content", "errorCode"]));
    let failed = root
        .text_at(&["status"])
        .is_some_and(|status| status.starts_with("fail"));
    match number {
        Some(number) if number != 0 => Some(number),
        _ => failed.then_some(0),
    }
}

/// The number of a failure inside an item of a success.
fn nested_failure(root: &Element) -> Option<u32> {
    let content = root.child("content")?;
    content
        .walk()
        .filter(|element| element.name() == "errorCode")
        .find_map(|element| element.text().parse().ok().filter(|number| *number != 0))
}

fn refusal(failure: Failure, root: &Element) -> Trouble {
    let mut trouble = failure.trouble();
    let number = |name: &str| -> Option<u32> {
        root.walk()
            .find(|element| element.name() == name)?
            .text()
            .parse()
            .ok()
    };
    let locked = root
        .walk()
        .any(|element| element.name() == "locked" && element.text() == "true");
    // The misspelling is the recorders'.
    if locked || number("ramainingTime").is_some_and(|seconds| seconds > 0) {
        trouble.code = ErrorCode::AccountLocked;
    }
    if let Some(tries) = number("ramainingNumber") {
        trouble.text = format!("{}; {tries} tries remain", trouble.text);
    }
    // A login that failed in an unknown way counts as a try.
    if !matches!(
        trouble.code,
        ErrorCode::LoginRejected
            | ErrorCode::AccountLocked
            | ErrorCode::Busy
            | ErrorCode::RefusedByDevice
    ) {
        trouble.code = ErrorCode::LoginFailed;
    }
    trouble
}

#[cfg(test)]
mod tests {
    use super::super::key_pair::tests::Counted;
    use super::*;

    fn response(body: &str) -> Response {
        Response {
            status: 200,
            headers: vec![("Set-Cookie".into(), "Secure; HttpOnly".into())],
            body: body.as_bytes().to_vec(),
        }
    }

    fn credential() -> Credential {
        Credential {
            username: "ops]]>".into(),
            password: Secret::new("x"),
        }
    }

    const GREETING: &str = "<response><status>success</status><types><token><enum>no</enum></token></types>\
        <content><nonce>n</nonce><sessionId>{s-1}</sessionId></content></response>";

    #[test]
    fn a_session_is_forgotten_when_it_expires() {
        let mut session = Session::default();
        let hello = session.hello();
        assert!(!hello.has_credential && hello.path == "/reqLogin");
        assert_eq!(session.on_hello(&response(GREETING)), Ok(Variant::Modern));
        let login = session.login(&credential()).unwrap();
        assert_eq!(login.header("cookie").unwrap().expose(), "sessionId=s-1");
        assert!(login.body.contains("<userName>ops]]&gt;</userName>"));
        let welcome =
            "<response><status>success</status><content><token>T</token></content></response>";
        session.on_login(&credential(), &response(welcome)).unwrap();
        let ask = session.ask(&Command::Users, &credential());
        assert!(ask.body.contains("<token>T</token>") && !ask.has_credential);
        let over = "<response><status>fail</status><errorCode>536871074</errorCode></response>";
        assert_eq!(
            session.read(&response(over)).unwrap_err().code,
            ErrorCode::SessionExpired
        );
        assert!(!session.logged_in() && session.logout(&credential()).is_none());
    }

    #[test]
    fn the_newest_login_sends_a_key_and_only_where_it_is_asked_for() {
        let pair = || KeyPair::generate(&mut Counted(3)).unwrap();
        let mut session = Session::default();
        let _ = session.hello();
        session.send_key(pair());
        assert_eq!(session.on_hello(&response(GREETING)), Ok(Variant::Modern));
        assert!(!session.announces_keys());
        let modern = session.login(&credential()).unwrap();
        assert!(
            !modern.body.contains("rsaPublic"),
            "not before the greeting"
        );
        let _ = session.hello();
        let hinting = GREETING.replace("</content>", "<securityVer>1</securityVer></content>");
        session.on_hello(&response(&hinting)).unwrap();
        assert!(session.announces_keys());
        session.send_key(pair());
        let keyed = session.login(&credential()).unwrap();
        assert!(
            keyed
                .body
                .contains("<rsaPublic><![CDATA[-----BEGIN PUBLIC KEY-----\n")
        );
        let proof = proof_with_key(&credential().password, "n", pair().public_pem());
        assert!(keyed.body.contains(proof.expose()) && !modern.body.contains(proof.expose()));
    }

    #[test]
    fn refusals_of_a_login_say_what_remains() {
        let mut session = Session::default();
        let _ = session.hello();
        session.on_hello(&response(GREETING)).unwrap();
        let mut refuse = |body: &str| {
            session
                .on_login(&credential(), &response(body))
                .unwrap_err()
        };
        let wrong = refuse(
            "<response><status>fail</status><errorCode>536870948</errorCode>\
            <content><ramainingNumber>3</ramainingNumber></content></response>",
        );
        assert_eq!(wrong.code, ErrorCode::LoginRejected);
        assert!(wrong.text.ends_with("3 tries remain"));
        let locked = refuse(
            "<response><status>fail</status><errorCode>536870948</errorCode><locked>true</locked></response>",
        );
        assert_eq!(locked.code, ErrorCode::AccountLocked);
        let unknown =
            refuse("<response><status>fail</status><errorCode>536870934</errorCode></response>");
        assert_eq!(unknown.code, ErrorCode::LoginFailed);
    }

    #[test]
    fn pages_and_other_documents_are_no_greeting() {
        for body in ["", "<html><body/></html>", "<config/>", "{}"] {
            let mut session = Session::default();
            let _ = session.hello();
            let trouble = session.on_hello(&response(body)).unwrap_err();
            assert_eq!(trouble.code, ErrorCode::BadAnswer, "{body}");
        }
    }
}
