//! `tvtctl admin init`.

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

use tvtfleet_proto::error::ExitStatus;

use crate::error::CliError;
use crate::exit::Outcome;
use crate::io::Io;
use crate::realm::{Given, Plan, Realm, ServerSpec};

/// Arguments of `tvtctl admin init`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The folder holds the keys of the whole fleet: keep it on a computer of yours, not on the servers, and
keep a backup elsewhere. In it:
  nats/NAME/     copy to the server NAME, and start nats-server with nats-server.conf
  coordinator/   copy to the coordinator's computer
  operators/X/   give to the operator X

Examples:
  One server:
    tvtctl admin init fleet --server nats1=nats.example.com
  A cluster, with WebSockets for sites that may only open port 443:
    tvtctl admin init fleet --server a=a.example.com --server b=b.example.com \\
      --server c=c.example.com --websocket-port 443
  With certificates of your own:
    tvtctl admin init fleet --server nats1=nats.example.com --cert fullchain.pem --key privkey.pem
  All on this computer, to try it:
    tvtctl admin init fleet --server local=127.0.0.1 --listen 127.0.0.1 --store fleet-store \\
      --coordinator-data fleet-data")]
pub(crate) struct Args {
    /// Folder to make
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// A server: NAME=HOST[:PORT[/ROUTE_PORT]]; once, or three times for a cluster
    #[arg(long, value_name = "SERVER", required = true)]
    server: Vec<ServerSpec>,
    /// Name of the fleet, for people
    #[arg(long, value_name = "NAME", default_value = "tvtfleet", value_parser = plain_name)]
    name: String,
    /// Address on which servers listen
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V6(Ipv6Addr::UNSPECIFIED))]
    listen: IpAddr,
    /// Port of WebSockets [default: none]
    #[arg(long, value_name = "PORT")]
    websocket_port: Option<u16>,
    /// Port of each server's own figures, on loopback; 0 is none
    #[arg(long, value_name = "PORT", default_value_t = 8222)]
    monitor_port: u16,
    /// Certificate for the servers, with what is between it and its authority's [default: made]
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Key of that certificate
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Certificate of the authority behind it, where systems do not know it
    #[arg(long, value_name = "FILE", requires = "cert")]
    ca: Option<PathBuf>,
    /// Where nats/NAME will stand on the server [default: where it is written]
    #[arg(long, value_name = "DIR")]
    server_folder: Option<PathBuf>,
    /// Folder of a server's streams, on the server
    #[arg(long, value_name = "DIR", default_value = "/var/lib/nats")]
    store: PathBuf,
    /// Where coordinator will stand on its computer [default: where it is written]
    #[arg(long, value_name = "DIR")]
    coordinator_folder: Option<PathBuf>,
    /// Folder of the coordinator's database, on its computer
    #[arg(long, value_name = "DIR", default_value = "/var/lib/tvt-coordinator")]
    coordinator_data: PathBuf,
    /// Name of the first operator, who may do everything
    #[arg(long, value_name = "NAME", default_value = "admin", value_parser = plain_name)]
    operator: String,
}

impl Args {
    pub(super) fn run(self, io: &mut Io) -> Outcome {
        let servers: Vec<_> = self.server.into_iter().map(|spec| spec.0).collect();
        if !matches!(servers.len(), 1 | 3) {
            return Err(CliError::usage("a fleet has one server, or a cluster of three").into());
        }
        let mut names: Vec<_> = servers.iter().map(|server| &server.name).collect();
        names.sort();
        names.dedup();
        if names.len() != servers.len() {
            return Err(CliError::usage("two servers have the same name").into());
        }
        let given = self.cert.zip(self.key).map(|(certificate, key)| Given {
            certificate: io.resolve(&certificate),
            key: io.resolve(&key),
            authority: self.ca.map(|path| io.resolve(&path)),
        });
        let plan = Plan {
            name: self.name,
            servers,
            listen: self.listen,
            websocket_port: self.websocket_port,
            monitor_port: Some(self.monitor_port).filter(|port| *port != 0),
            server_folder: self.server_folder,
            store: io.resolve(&self.store),
            coordinator_folder: self.coordinator_folder,
            coordinator_data: io.resolve(&self.coordinator_data),
            given,
            operator: self.operator.clone(),
        };
        let realm = Realm::create(&io.resolve(&self.dir), plan, io.clock.now())?;
        io.note(&format!(
            "made the fleet {} with the operator {}; next: tvtctl admin tenant add NAME --dir {} --offline",
            realm.fleet.name,
            self.operator,
            self.dir.display()
        ));
        let mut text = String::new();
        for file in realm.folder.files()? {
            text.push_str(&format!("{}\n", self.dir.join(file).display()));
        }
        io.write_out(text.as_bytes())?;
        Ok(ExitStatus::Success)
    }
}

/// Reads a name that becomes a file name: letters, digits, `-` and `.`, not a dot in front.
pub(super) fn plain_name(text: &str) -> Result<String, String> {
    let good = (1..=40).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-.".contains(letter));
    if good {
        Ok(text.to_owned())
    } else {
        Err("use up to 40 letters, digits, hyphens and dots".into())
    }
}
