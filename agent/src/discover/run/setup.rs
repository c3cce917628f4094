//! What a discovery will use: networks, interfaces and sockets.

use std::collections::BTreeSet;

use ipnet::{IpNet, Ipv4Net};
use tokio::net::UdpSocket;
use tvtfleet_proto::device::{mhed, ssdp};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::discovery::{DiscoverOptions, Method, Profile};
use uuid::Uuid;

use crate::discover::consent::{self, OWN_PREFIX_MIN};
use crate::discover::echo::Echo;
use crate::discover::event::{DiscoverContext, DiscoverError};
use crate::discover::hosts::{Hosts, targets};
use crate::discover::interfaces::{self, Interface};
use crate::discover::multicast::{self, Shot};
use crate::discover::sockets::{self, Trouble};
use crate::discover::sweep::Plan;
use crate::discover::throttle::Limits;

/// Everything settled before the first packet.
pub(super) struct Setup {
    pub(super) options: DiscoverOptions,
    /// What may be sent in a second.
    pub(super) limits: Limits,
    pub(super) seed: u64,
    /// The name of our WS-Discovery probe.
    pub(super) message: Uuid,
    pub(super) plan: Plan,
    pub(super) shots: Vec<Shot>,
    pub(super) searches: Vec<(Interface, UdpSocket)>,
    pub(super) groups: Vec<UdpSocket>,
    pub(super) sweep: Option<UdpSocket>,
    pub(super) echo: Option<Echo>,
    /// Every network of this computer.
    pub(super) own: Vec<Ipv4Net>,
    /// The networks that are covered once the sweep has come to its end.
    pub(super) covered: Vec<Ipv4Net>,
    pub(super) notes: Vec<String>,
}

const MULTICAST: [Method; 3] = [Method::Mhed, Method::Ssdp, Method::Onvif];
/// Hosts of our own networks that fit into the neighbour table at once.
const OWN_HOSTS_MAX: u64 = 900;
/// Each dark one stays in that table for three seconds: this pace keeps it from running over.
const OWN_RATE: u32 = 250;
/// TCP connections per second through a gateway outside laboratories, whatever the pace: each leaves
/// an entry in its table for two minutes where nobody answers.
const CONNECTS: u32 = 100;
/// More rounds are never polite.
const ROUNDS_MAX: u8 = 3;

impl Setup {
    pub(super) fn new(
        mut options: DiscoverOptions,
        context: &DiscoverContext,
    ) -> Result<Self, DiscoverError> {
        options
            .excludes
            .extend(context.policy.excludes.iter().filter_map(|net| match net {
                IpNet::V4(net) => Some(*net),
                IpNet::V6(_) => None,
            }));
        let random = Uuid::new_v4();
        let (_, low) = random.as_u64_pair();
        let seed = options.resume.map_or(low, |cursor| cursor.seed);
        let mut notes = Vec::new();
        check(&options)?;
        let all = interfaces::list().map_err(|error| {
            DiscoverError::new(
                ErrorCode::DiscoveryNoInterface,
                format!("cannot list the interfaces: {error}"),
            )
        })?;
        let chosen = choose(&all, &options)?;
        let own: Vec<Ipv4Net> = all
            .iter()
            .filter(|interface| interface.is_up && !interface.is_loopback)
            .filter(|interface| interface.network.prefix_len() < 31)
            .map(|interface| interface.network.trunc())
            .collect();
        let subnets = subnets(&options, &chosen, context, &mut notes);
        let hosts = targets(&subnets, &options.excludes);
        let thorough = [Method::Sweep, Method::Tcp]
            .iter()
            .all(|method| options.methods.contains(method));
        consent::check(&options.subnets, &hosts, options.huge, &context.policy)?;
        let on_link = own_hosts(&hosts, &own);
        let limits = limits(&options, context, on_link, hosts.len(), &mut notes);

        let mut setup = Self {
            limits,
            seed,
            message: random,
            plan: Plan {
                seed,
                position: options.resume.map_or(0, |cursor| cursor.position),
                rounds: options.rounds.clamp(1, ROUNDS_MAX),
                echo: false,
                greet: options.methods.contains(&Method::Tcp),
                own: own.clone(),
                known: options.known.clone(),
                hosts,
            },
            shots: Vec::new(),
            searches: Vec::new(),
            groups: Vec::new(),
            sweep: None,
            echo: None,
            own,
            covered: if thorough { subnets } else { Vec::new() },
            notes,
            options,
        };
        setup.open_sweep()?;
        setup.open_multicast(&chosen);
        setup.check_use(&chosen)?;
        Ok(setup)
    }

    fn uses(&self, method: Method) -> bool {
        self.options.methods.contains(&method)
    }

    fn open_sweep(&mut self) -> Result<(), DiscoverError> {
        if self.plan.hosts.is_empty() {
            return Ok(());
        }
        let bind = self.options.bind;
        if self.uses(Method::Sweep) {
            let socket = sockets::sweep(bind).map_err(|trouble| bind_failed(&trouble))?;
            self.sweep = Some(socket);
        } else {
            // Without searches the sweep asks for signs of life at once.
            self.plan.rounds = 1;
        }
        if self.plan.greet {
            let [high, low, ..] = self.seed.to_be_bytes();
            match Echo::open(bind, u16::from_be_bytes([high, low])) {
                Ok(echo) => self.echo = Some(echo),
                Err(trouble) => {
                    tracing::debug!(%trouble, "no echo requests");
                    self.notes.push(
                        "echo requests are not permitted here: hosts that answer no search are tried \
                         by TCP in small networks only"
                            .to_owned(),
                    );
                }
            }
        }
        self.plan.echo = self.echo.is_some();
        Ok(())
    }

    fn open_multicast(&mut self, chosen: &[Interface]) {
        // With networks named, only the interfaces that are in them.
        let used: Vec<Interface> = chosen
            .iter()
            .filter(|interface| {
                self.options.subnets.is_empty()
                    || self
                        .options
                        .subnets
                        .iter()
                        .any(|subnet| meet(subnet, &interface.network))
            })
            .cloned()
            .collect();
        let methods: BTreeSet<Method> = MULTICAST
            .into_iter()
            .filter(|method| self.uses(*method))
            .collect();
        if used.is_empty() {
            return;
        }
        if !methods.is_empty() {
            for interface in &used {
                match sockets::search(interface) {
                    Ok(socket) => self.searches.push((interface.clone(), socket)),
                    Err(trouble) => {
                        self.notes
                            .push(format!("no multicast on {}: {trouble}", interface.name));
                    }
                }
            }
        }
        if !self.searches.is_empty() {
            self.shots = multicast::shots(&methods, self.message, self.seed);
        }
        let mut groups = Vec::new();
        if self.uses(Method::Mhed) || self.uses(Method::Announcements) {
            groups.extend([(mhed::ANSWERS, mhed::PORT), (mhed::SEARCHES, mhed::PORT)]);
        }
        if self.uses(Method::Announcements) {
            groups.push((ssdp::GROUP, ssdp::PORT));
        }
        for (group, port) in groups {
            match sockets::listen(group, port, &used) {
                Ok(socket) => self.groups.push(socket),
                Err(trouble) => self
                    .notes
                    .push(format!("not listening to {group}:{port}: {trouble}")),
            }
        }
    }

    /// Whether anything is left to be done.
    fn check_use(&self, chosen: &[Interface]) -> Result<(), DiscoverError> {
        let looks = !self.plan.hosts.is_empty() || self.uses(Method::Sdk);
        if looks || !self.searches.is_empty() || !self.groups.is_empty() {
            return Ok(());
        }
        if !self.options.subnets.is_empty() {
            let text = "every address of the named networks is excluded";
            return Err(DiscoverError::new(ErrorCode::UsageInvalid, text));
        }
        if chosen.is_empty() {
            let text = "no interface of this computer is up and can multicast";
            return Err(DiscoverError::new(ErrorCode::DiscoveryNoInterface, text)
                .hint("name a network with --subnet, or an interface with --interface"));
        }
        Err(no_multicast(&self.notes))
    }
}

/// Searches by multicast cannot be sent, and nothing else is to be done.
pub(super) fn no_multicast(notes: &[String]) -> DiscoverError {
    let text = match notes {
        [] => "these methods leave nothing to do".to_owned(),
        notes => format!("multicast is not available: {}", notes.join("; ")),
    };
    DiscoverError::new(ErrorCode::DiscoveryMulticastUnavailable, text)
        .hint("in a container it needs the host's network; --subnet works without it")
}

fn check(options: &DiscoverOptions) -> Result<(), DiscoverError> {
    let wrong = |text: &str| Err(DiscoverError::new(ErrorCode::UsageInvalid, text));
    if options.methods.is_empty() {
        return wrong("no method is left to discover with");
    }
    if options.tcp_ports.contains(&0) {
        return wrong("0 is no TCP port");
    }
    let needs_ports = options.methods.contains(&Method::Tcp);
    if needs_ports && options.tcp_ports.is_empty() {
        return wrong("no TCP port to expect a greeting on");
    }
    Ok(())
}

fn choose(all: &[Interface], options: &DiscoverOptions) -> Result<Vec<Interface>, DiscoverError> {
    let no_interface = |text: String| {
        let mut names: Vec<&str> = all
            .iter()
            .map(|interface| interface.name.as_str())
            .collect();
        names.dedup();
        DiscoverError::new(ErrorCode::DiscoveryNoInterface, text)
            .hint(format!("this computer has: {}", names.join(", ")))
    };
    for name in &options.interfaces {
        if !all
            .iter()
            .any(|interface| interface.name == *name && interface.is_up)
        {
            return Err(no_interface(format!(
                "no interface {name} is up with an IPv4 address"
            )));
        }
    }
    if let Some(bind) = options.bind
        && !bind.is_loopback()
        && !all.iter().any(|interface| interface.address == bind)
    {
        return Err(DiscoverError::new(
            ErrorCode::DiscoveryBindFailed,
            format!("{bind} is no address of this computer"),
        ));
    }
    Ok(interfaces::suitable(all, &options.interfaces, options.bind))
}

/// The networks to sweep: those named, or else the small ones this computer is in.
fn subnets(
    options: &DiscoverOptions,
    chosen: &[Interface],
    context: &DiscoverContext,
    notes: &mut Vec<String>,
) -> Vec<Ipv4Net> {
    let probes = options.methods.contains(&Method::Sweep) || options.methods.contains(&Method::Tcp);
    if !options.subnets.is_empty() {
        return if probes {
            options.subnets.clone()
        } else {
            Vec::new()
        };
    }
    if !options.methods.contains(&Method::Sweep) {
        return Vec::new();
    }
    let mut swept = Vec::new();
    for interface in chosen {
        let network = interface.network.trunc();
        if network.prefix_len() >= 31 || swept.contains(&network) {
            continue;
        }
        if network.prefix_len() < OWN_PREFIX_MIN {
            notes.push(format!(
                "{network} on {} is not swept because it is large; --subnet {network} does it",
                interface.name
            ));
        } else if !consent::covered(&network, &context.policy) {
            notes.push(format!(
                "{network} is not swept: this site's policy does not allow it"
            ));
        } else {
            swept.push(network);
        }
    }
    swept
}

/// The paces, under the ceiling of the site.
fn limits(
    options: &DiscoverOptions,
    context: &DiscoverContext,
    on_link: u64,
    hosts: u64,
    notes: &mut Vec<String>,
) -> Limits {
    let asked = options.asked_rate();
    let mut rate = asked.min(context.policy.rate_max.max(1));
    if rate < asked {
        notes.push(format!(
            "the pace is {rate} probes per second: this site allows no more"
        ));
    }
    if on_link > OWN_HOSTS_MAX && rate > OWN_RATE && !options.huge {
        rate = OWN_RATE;
        notes.push(format!(
            "the pace is {rate} probes per second: more would overrun the neighbour table of this \
             computer, which has room for 1,024 dark addresses at a time"
        ));
    }
    let agreed =
        options.rate.is_some() || matches!(options.profile, Profile::Routed | Profile::Lab);
    // Sweeps of our own networks alone reach no gateway; without an agreed pace they are as careful.
    let connects = if options.profile == Profile::Lab || (agreed && on_link == hosts) {
        rate
    } else {
        rate.min(CONNECTS)
    };
    Limits {
        probes: rate,
        connects,
        agreed,
    }
}

/// How many of the hosts are in our own networks.
fn own_hosts(hosts: &Hosts, own: &[Ipv4Net]) -> u64 {
    own.iter().map(|net| hosts.overlap(net)).sum()
}

fn bind_failed(trouble: &Trouble) -> DiscoverError {
    DiscoverError::new(ErrorCode::DiscoveryBindFailed, trouble.to_string())
}

fn meet(a: &Ipv4Net, b: &Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}
