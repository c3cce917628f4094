//! Options that say where and how to look for devices.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;
use tvt_agent::discover::check_networks;
use tvtfleet_proto::model::discovery::{DiscoverOptions, Method, Profile};

use crate::error::CliError;

/// Where to look, and how fast.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Where and how to look")]
pub(crate) struct NetworkArgs {
    /// Network to sweep, as 192.168.1.0/24; may be given several times
    #[arg(long, value_name = "CIDR", value_parser = network)]
    subnet: Vec<Ipv4Net>,
    /// Network or address that nothing is sent to; may be given several times
    #[arg(long, value_name = "CIDR", value_parser = network)]
    exclude: Vec<Ipv4Net>,
    /// Ways to use: neighbours, announcements, mhed, ssdp, onvif, sweep, tcp; and, only where it is
    /// named, sdk: the search of the vendor's library
    #[arg(long, value_name = "METHOD,…", value_delimiter = ',')]
    methods: Vec<Method>,
    /// Probes per second
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// How fast to be: polite (100/s), standard (200/s), routed (2,000/s), lab (10,000/s)
    #[arg(long, value_name = "PROFILE", default_value = "standard")]
    profile: Profile,
    /// Leave hosts that answer no search alone
    #[arg(long)]
    no_tcp_fallback: bool,
    /// TCP port to expect a greeting on [default: 6036 and 9008]; may be given several times
    #[arg(long, value_name = "PORT", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    tcp_port: Vec<u16>,
    /// Sweep more than a /12, or networks that are not private
    #[arg(short, long)]
    yes: bool,
}

impl NetworkArgs {
    fn options(&self) -> Result<DiscoverOptions, CliError> {
        let defaults = DiscoverOptions::default();
        let mut methods: BTreeSet<Method> = if self.methods.is_empty() {
            defaults.methods.clone()
        } else {
            self.methods.iter().copied().collect()
        };
        if self.no_tcp_fallback {
            methods.remove(&Method::Tcp);
        }
        check_networks(&self.subnet, &self.exclude, self.yes)
            .map_err(|error| CliError::new(error.code, error.text).hint(error.hint))?;
        Ok(DiscoverOptions {
            subnets: self.subnet.clone(),
            excludes: self.exclude.clone(),
            methods,
            profile: self.profile,
            rate: self.rate,
            tcp_ports: if self.tcp_port.is_empty() {
                defaults.tcp_ports.clone()
            } else {
                self.tcp_port.clone()
            },
            huge: self.yes,
            ..defaults
        })
    }

    /// Whether anything of it was asked for.
    fn is_used(&self) -> bool {
        !self.subnet.is_empty()
            || !self.exclude.is_empty()
            || !self.methods.is_empty()
            || self.rate.is_some()
            || self.profile != Profile::Standard
            || self.no_tcp_fallback
            || !self.tcp_port.is_empty()
            || self.yes
    }
}

/// Options of commands that do nothing but discover.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Where and how to look")]
pub(crate) struct LookArgs {
    #[command(flatten)]
    networks: NetworkArgs,
    /// Interface to use; may be given several times
    #[arg(long, value_name = "NAME")]
    interface: Vec<String>,
    /// Local address to send from
    #[arg(long, value_name = "IP")]
    bind: Option<Ipv4Addr>,
    /// Seconds to listen after the last probe [default: 3.2]
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// How often a silent address is asked
    #[arg(short, long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=3))]
    retries: u8,
    /// TCP connections open at the same time
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
}

impl LookArgs {
    /// What they mean.
    ///
    /// # Errors
    ///
    /// `discovery.consent_needed` or `usage.invalid`.
    pub(crate) fn options(&self) -> Result<DiscoverOptions, CliError> {
        let options = self.networks.options()?;
        Ok(DiscoverOptions {
            parallel: self.concurrency,
            interfaces: self.interface.clone(),
            bind: self.bind,
            wait: self.timeout.unwrap_or(options.wait),
            rounds: self.retries,
            ..options
        })
    }
}

/// Options of scans that may begin with a discovery.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Where and how to look")]
pub(crate) struct ScanSearchArgs {
    /// Discover devices first, and scan those found too
    #[arg(long)]
    discover: bool,
    /// Discover devices and scan none
    #[arg(long)]
    discover_only: bool,
    #[command(flatten)]
    networks: NetworkArgs,
    /// Seconds to listen after the last probe of the discovery [default: 3.2]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    discover_timeout: Option<Duration>,
    /// TCP connections of the discovery open at the same time
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    discover_concurrency: u16,
}

impl ScanSearchArgs {
    /// Whether nothing is to be scanned.
    pub(crate) const fn is_only(&self) -> bool {
        self.discover_only
    }

    /// Whether devices are looked for before a scan.
    pub(crate) const fn is_first(&self) -> bool {
        self.discover
    }

    /// What to look for; `None` where nothing is. With `nothing_else`, networks are enough to ask for
    /// a discovery: there are no devices to scan.
    ///
    /// # Errors
    ///
    /// `discovery.consent_needed` or `usage.invalid`.
    pub(crate) fn options(&self, nothing_else: bool) -> Result<Option<DiscoverOptions>, CliError> {
        let by_networks = nothing_else && !self.networks.subnet.is_empty();
        if !self.discover && !self.discover_only && !by_networks {
            if self.networks.is_used() || self.discover_timeout.is_some() {
                return Err(CliError::usage("nothing is to be discovered").hint(
                    "--discover looks for devices first, --discover-only does nothing else",
                ));
            }
            return Ok(None);
        }
        let options = self.networks.options()?;
        Ok(Some(DiscoverOptions {
            parallel: self.discover_concurrency,
            wait: self.discover_timeout.unwrap_or(options.wait),
            ..options
        }))
    }
}

/// A network in CIDR form, or one address.
fn network(text: &str) -> Result<Ipv4Net, String> {
    if text.contains(':') {
        return Err("IPv6 networks are not swept".to_owned());
    }
    let one = text.parse::<Ipv4Addr>().map(Ipv4Net::from);
    one.or_else(|_| text.parse())
        .map_err(|_| "not a network like 192.168.1.0/24".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|span| *span <= Duration::from_secs(600))
        .ok_or_else(|| "from 0 to 600 seconds".to_owned())
}
