//! A conversation with one device's web API: which dialect, and when a credential is shown.

use crate::device::edit::Write;
use crate::device::http::{
    DigestUse, Request, Response, Scheme, Trouble, basic, challenges, strongest,
};
use crate::device::xml::Element;
use crate::error::ErrorCode;
use crate::model::secret::Credential;

use super::dialect::Dialect;
use super::flat::{request as flat_request, version_of};
use super::query::{Query, Scope};

/// How often one question may be sent again because of a stale nonce or another dialect.
const AGAIN_MAX: u32 = 3;

/// What an answer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The document.
    Done(Element),
    /// A credential is needed: ask whoever guards it, then [`Session::login`], then send again.
    Login(Login),
    /// Send the same question again.
    Again,
}

/// What showing the credential would mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login {
    /// The password itself goes over the wire.
    pub shows_password: bool,
}

/// How requests are authorised now.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Auth {
    Nothing,
    Offered(Scheme),
    Basic,
    Digest(DigestUse),
}

/// The state of a conversation. Holds no credential.
#[derive(Clone, Debug)]
pub struct Session {
    dialect: Dialect,
    /// The device has answered in it.
    settled: bool,
    /// The other dialect has been tried.
    switched: bool,
    version: String,
    auth: Auth,
    /// The last request showed the credential.
    shown: bool,
    accepted: bool,
    again: u32,
}

impl Session {
    /// A new conversation. `known` is the dialect that the device spoke before; it is tried first.
    #[must_use]
    pub fn new(known: Option<Dialect>) -> Self {
        Self {
            dialect: known.unwrap_or(Dialect::Flat),
            settled: false,
            switched: false,
            version: "2.0.0".to_owned(),
            auth: Auth::Nothing,
            shown: false,
            accepted: false,
            again: 0,
        }
    }

    /// The dialect; certain once a question has been answered.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Whether the device has accepted the credential.
    #[must_use]
    pub const fn accepted(&self) -> bool {
        self.accepted
    }

    /// Whether the last request showed the credential.
    #[must_use]
    pub const fn shown(&self) -> bool {
        self.shown
    }

    /// Begins to use the credential in the way that was offered.
    pub fn login(&mut self) {
        if let Auth::Offered(scheme) = std::mem::replace(&mut self.auth, Auth::Nothing) {
            self.auth = match scheme {
                Scheme::Basic => Auth::Basic,
                Scheme::Digest(challenge) => Auth::Digest(DigestUse::new(challenge)),
            };
        }
    }

    /// The next request. `random` makes a client's nonce.
    ///
    /// # Errors
    ///
    /// `device.command_unsupported`, `device.credential_invalid` for a name that Basic cannot carry.
    pub fn request(
        &mut self,
        query: Query,
        scope: &Scope,
        credential: Option<&Credential>,
        random: u128,
    ) -> Result<Request, Trouble> {
        let request = query.request(self.dialect, &self.version, scope)?;
        self.authorized(request, credential, random)
    }

    /// The request that sends a change.
    ///
    /// # Errors
    ///
    /// As [`Self::request`]. The prefixed dialect changes nothing.
    pub fn write(
        &mut self,
        write: &Write,
        credential: Option<&Credential>,
        random: u128,
    ) -> Result<Request, Trouble> {
        if self.dialect != Dialect::Flat {
            let text = "this dialect of the web API changes nothing";
            return Err(Trouble::new(ErrorCode::CommandUnsupported, text, None));
        }
        let request = flat_request(write.command, write.channel, write.parts.first());
        self.authorized(request, credential, random)
    }

    fn authorized(
        &mut self,
        mut request: Request,
        credential: Option<&Credential>,
        random: u128,
    ) -> Result<Request, Trouble> {
        let header = match (&mut self.auth, credential) {
            (Auth::Basic, Some(credential)) if credential.username.contains(':') => {
                let text = "a user name with a colon cannot be sent to this device";
                return Err(Trouble::new(ErrorCode::CredentialInvalid, text, None));
            }
            (Auth::Basic, Some(credential)) => Some(basic(credential)),
            (Auth::Digest(digest), Some(credential)) => {
                Some(digest.authorize(credential, request.method, &request.path, random))
            }
            (Auth::Nothing | Auth::Offered(_), _) | (_, None) => None,
        };
        self.shown = header.is_some();
        request.has_credential = self.shown;
        request
            .headers
            .extend(header.map(|value| ("authorization", value)));
        Ok(request)
    }

    /// Takes the answer to the last request.
    ///
    /// # Errors
    ///
    /// What went wrong. `device.login_rejected` ends the use of the credential.
    pub fn read(&mut self, response: &Response) -> Result<Step, Trouble> {
        if response.status == 401 {
            return self.unauthorized(response);
        }
        let document = Query::document(self.dialect, response);
        let refused = document.as_ref().is_err_and(|trouble| {
            matches!(
                trouble.code,
                ErrorCode::LoginRejected
                    | ErrorCode::AccountLocked
                    | ErrorCode::PasswordChangeRequired
            )
        });
        self.accepted |= self.shown && !refused;
        match document {
            Ok(root) => {
                if self.dialect == Dialect::Flat {
                    self.version = version_of(&root);
                }
                (self.settled, self.again) = (true, 0);
                Ok(Step::Done(root))
            }
            Err(trouble)
                if !(self.settled || self.switched)
                    && trouble.code == ErrorCode::InterfaceAbsent
                    && response.status == 404 =>
            {
                // Where a dialect was remembered, other firmware may speak the other one.
                self.switched = true;
                self.dialect = match self.dialect {
                    Dialect::Flat => Dialect::Lapi,
                    Dialect::Lapi => Dialect::Flat,
                };
                self.once_more(trouble)
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// As [`Self::read`], where the answer is to be a picture: `None` says that the body is it, as far
    /// as that can be told without looking into it.
    ///
    /// # Errors
    ///
    /// What went wrong; `picture.not_jpeg` for a document or a page in its place.
    pub fn read_picture(&mut self, response: &Response) -> Result<Option<Step>, Trouble> {
        let start = response
            .body
            .iter()
            .find(|byte| !byte.is_ascii_whitespace());
        if response.status == 200 && start != Some(&b'<') {
            self.accepted |= self.shown;
            (self.settled, self.again) = (true, 0);
            return Ok(None);
        }
        let instead = || {
            let text = "a document came instead of a picture";
            Trouble::new(ErrorCode::PictureNotJpeg, text, u32::from(response.status))
        };
        match self.read(response) {
            Ok(Step::Done(_)) => Err(instead()),
            Err(trouble) if trouble.code == ErrorCode::BadAnswer => Err(instead()),
            Ok(step @ (Step::Login(_) | Step::Again)) => Ok(Some(step)),
            Err(trouble) => Err(trouble),
        }
    }

    fn unauthorized(&mut self, response: &Response) -> Result<Step, Trouble> {
        let offered = strongest(&challenges(response.all("www-authenticate")));
        let rejected = || {
            let text = "the device refused the user name or the password";
            Trouble::new(ErrorCode::LoginRejected, text, 401)
        };
        match offered {
            Some(Scheme::Digest(challenge)) if self.shown && challenge.stale => {
                self.auth = Auth::Digest(DigestUse::new(challenge));
                self.once_more(rejected())
            }
            _ if self.shown => Err(rejected()),
            Some(scheme) => {
                let shows_password = scheme == Scheme::Basic;
                self.auth = Auth::Offered(scheme);
                Ok(Step::Login(Login { shows_password }))
            }
            None => {
                let text = "the device asks for a login that is not supported";
                Err(Trouble::new(ErrorCode::UnsupportedVariant, text, 401))
            }
        }
    }

    fn once_more(&mut self, otherwise: Trouble) -> Result<Step, Trouble> {
        self.again += 1;
        if self.again > AGAIN_MAX {
            return Err(otherwise);
        }
        Ok(Step::Again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Secret;

    const INFO: &str =
        "<config version=\"1.7\" xmlns=\"http://www.ipc.com/ver10\"><deviceInfo/></config>";

    fn response(status: u16, challenge: Option<&str>, body: &str) -> Response {
        Response {
            status,
            headers: challenge
                .map(|value| ("WWW-Authenticate".to_owned(), value.to_owned()))
                .into_iter()
                .collect(),
            body: body.as_bytes().to_vec(),
        }
    }

    fn send(session: &mut Session, query: Query) -> Request {
        let credential = Credential {
            username: "admin".into(),
            password: Secret::new("x"),
        };
        session
            .request(query, &Scope::default(), Some(&credential), 7)
            .unwrap()
    }

    #[test]
    fn nothing_secret_is_sent_before_a_challenge() {
        let mut session = Session::new(None);
        assert!(!send(&mut session, Query::Info).has_credential);
        let challenge = response(
            401,
            Some("Basic realm=x, Digest realm=x, nonce=n, qop=auth"),
            "",
        );
        let login = Login {
            shows_password: false,
        };
        assert_eq!(session.read(&challenge), Ok(Step::Login(login)));
        assert!(
            !send(&mut session, Query::Info).has_credential,
            "not before somebody agreed"
        );
        session.login();
        let request = send(&mut session, Query::Info);
        assert!(
            request
                .header("authorization")
                .unwrap()
                .expose()
                .starts_with("Digest ")
        );
        assert!(matches!(
            session.read(&response(200, None, INFO)),
            Ok(Step::Done(_))
        ));
        assert!(session.accepted());
        assert!(send(&mut session, Query::Clock).has_credential);
    }

    #[test]
    fn a_stale_nonce_is_answered_anew_and_a_refusal_ends_it() {
        let mut session = Session::new(None);
        send(&mut session, Query::Info);
        let _ = session.read(&response(
            401,
            Some("Digest realm=x, nonce=a, qop=auth"),
            "",
        ));
        session.login();
        send(&mut session, Query::Info);
        let stale = response(
            401,
            Some("Digest realm=x, nonce=b, qop=auth, stale=true"),
            "",
        );
        assert_eq!(session.read(&stale), Ok(Step::Again));
        let again = send(&mut session, Query::Info);
        let header = again.header("authorization").unwrap().expose().to_owned();
        assert!(header.contains("nonce=\"b\"") && header.contains("nc=00000001"));
        let refused = response(401, Some("Digest realm=x, nonce=c, qop=auth"), "");
        assert_eq!(
            session.read(&refused).unwrap_err().code,
            ErrorCode::LoginRejected
        );
        assert!(!session.accepted());
    }

    #[test]
    fn a_device_that_is_stale_for_ever_is_given_up() {
        let mut session = Session::new(None);
        send(&mut session, Query::Info);
        let stale = response(
            401,
            Some("Digest realm=x, nonce=b, qop=auth, stale=true"),
            "",
        );
        let _ = session.read(&stale);
        session.login();
        let steps = std::iter::repeat_with(|| {
            send(&mut session, Query::Info);
            session.read(&stale)
        });
        assert_eq!(steps.take_while(Result::is_ok).take(100).count(), 3);
    }

    #[test]
    fn the_prefixed_dialect_is_tried_only_after_a_404() {
        let mut session = Session::new(None);
        send(&mut session, Query::Info);
        assert_eq!(
            session.read(&response(404, None, "<html/>")),
            Ok(Step::Again)
        );
        assert_eq!(
            send(&mut session, Query::Info).path,
            "/LAPI/V1.0/System/DeviceInfo"
        );
        let absent = session.read(&response(404, None, "<html/>")).unwrap_err();
        assert_eq!(absent.code, ErrorCode::InterfaceAbsent);
        let mut page = Session::new(None);
        send(&mut page, Query::Info);
        let answer = page.read(&response(200, None, "<html><body>login</body></html>"));
        assert_eq!(answer.unwrap_err().code, ErrorCode::BadAnswer);
    }
}
