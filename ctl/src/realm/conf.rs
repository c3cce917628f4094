//! The configuration files of servers, coordinator and operators.

use std::fmt::Write as _;
use std::path::Path;

use super::fleet::{Fleet, ServerEntry};

/// The tokens that a server must know from the start, as (public key, token).
pub(super) type Preloaded = Vec<(String, String)>;

/// Writes the configuration of one nats-server. `folder` is where its files stand on the server.
pub(super) fn server(
    fleet: &Fleet,
    server: &ServerEntry,
    folder: &Path,
    operator: &str,
    system: &str,
    preloaded: &Preloaded,
) -> String {
    let quoted = |path: &Path| quote(&path.display().to_string());
    let (certificate, key) = (
        quoted(&folder.join("server.pem")),
        quoted(&folder.join("server.key")),
    );
    let mut text = format!(
        "# nats-server for the fleet {}; written by tvtctl admin, do not edit. 2.11 or later, better\n\
         # 2.14.6, 2.15.1 or later.\n\
         server_name: {}\n\
         listen: \"{}\"\n\
         max_payload: 1MB\n\
         # Sites behind NAT lose idle connections; find out soon.\n\
         ping_interval: \"30s\"\n\
         # Agents take a new server within this time when the node is stopped.\n\
         lame_duck_duration: \"2m\"\n",
        fleet.name,
        quote(&server.name),
        std::net::SocketAddr::new(fleet.listen, server.port),
    );
    // Writing into a String cannot fail.
    let mut line = |line: String| {
        let _infallible = writeln!(text, "{line}");
    };
    if let Some(port) = fleet.monitor_port {
        line(format!("http: \"127.0.0.1:{port}\""));
    }
    line(format!(
        "tls {{ cert_file: {certificate}, key_file: {key}, timeout: 5 }}"
    ));
    if let Some(port) = fleet.websocket_port {
        line(format!(
            "websocket {{ listen: \"{}\", tls {{ cert_file: {certificate}, key_file: {key} }} }}",
            std::net::SocketAddr::new(fleet.listen, port)
        ));
    }
    line(format!(
        "jetstream {{\n  store_dir: {}, max_file_store: 100G, max_memory_store: 256M\n\
         \x20 # Results are on the disk before they are acknowledged.\n  sync_interval: always\n}}",
        quoted(&fleet.store.join("js"))
    ));
    if fleet.is_cluster() {
        line(cluster(fleet, server, folder));
    }
    line(format!("operator: {operator}"));
    line(format!("system_account: {system}"));
    line(format!(
        "resolver {{ type: full, dir: {}, allow_delete: true, interval: \"2m\" }}",
        quoted(&fleet.store.join("accounts"))
    ));
    line("resolver_preload {".to_owned());
    for (key, token) in preloaded {
        line(format!("  {key}: {token}"));
    }
    line("}".to_owned());
    text
}

/// The servers of a cluster trust each other by certificates of the fleet's own authority.
fn cluster(fleet: &Fleet, server: &ServerEntry, folder: &Path) -> String {
    let quoted = |name: &str| quote(&folder.join(name).display().to_string());
    let routes: Vec<_> = fleet
        .servers
        .iter()
        .filter(|other| *other != server)
        .map(|other| format!("\"nats-route://{}\"", other.at(other.route_port)))
        .collect();
    format!(
        "cluster {{\n  name: {}\n  listen: \"{}\"\n  routes: [ {} ]\n  tls {{ cert_file: {}, key_file: {}, \
         ca_file: {}, verify: true, timeout: 5 }}\n}}",
        quote(&fleet.name),
        std::net::SocketAddr::new(fleet.listen, server.route_port),
        routes.join(", "),
        quoted("route.pem"),
        quoted("route.key"),
        quoted("authority.pem"),
    )
}

/// Writes the coordinator's configuration. `folder` is where its files stand on its computer.
pub(super) fn coordinator(fleet: &Fleet, folder: &Path, authority: &str, has_ca: bool) -> String {
    let path = |name: &str| quote(&folder.join(name).display().to_string());
    format!(
        "# The coordinator of the fleet {}; written by tvtctl admin.\n\
         data_dir = {}\n\n[nats]\nurls = {}\ncredentials_file = {}\n{}{}\n[trust]\n\
         # Whose word counts: the fleet's authority.\nauthority = {}\n\
         # What the authority said last; newer words come over the bus.\nroster_file = {}\n\
         # Enrolment is sealed to this key.\nkey_file = {}\n",
        fleet.name,
        quote(&fleet.coordinator_data.display().to_string()),
        urls(fleet),
        path("coordinator.creds"),
        ca(has_ca, folder),
        if fleet.is_cluster() {
            "replicas = 3\n"
        } else {
            ""
        },
        quote(authority),
        path("roster.json"),
        path("coordinator.xseed"),
    )
}

/// Writes an operator's configuration; the files that it names stand beside it.
pub(super) fn operator(fleet: &Fleet, has_ca: bool) -> String {
    format!(
        "# An operator of the fleet {}; written by tvtctl admin.\nserver = {}\ncreds = \"operator.creds\"\n{}",
        fleet.name,
        urls(fleet),
        if has_ca { "ca = \"ca.pem\"\n" } else { "" },
    )
}

fn ca(has_ca: bool, folder: &Path) -> String {
    if has_ca {
        let path = folder.join("ca.pem").display().to_string();
        format!("ca_file = {}\n", quote(&path))
    } else {
        String::new()
    }
}

fn urls(fleet: &Fleet) -> String {
    let urls: Vec<_> = fleet.urls().iter().map(|url| quote(url)).collect();
    format!("[{}]", urls.join(", "))
}

/// Text between quotes, as both TOML and nats-server read it.
fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
