//! The subject grammar: the one place that writes and reads NATS subjects and asset names.
//!
//! Subjects are the same with and without accounts, so nothing else knows which mode a server runs
//! in. A subject is never proof of who sent a message.

use crate::model::id::{SiteId, TenantId};
use crate::model::want::Lane;

/// The bucket of want documents.
pub const WANT_BUCKET: &str = "tvt_want";
/// The stream behind [`WANT_BUCKET`].
pub const WANT_STREAM: &str = "KV_tvt_want";
/// All keys of [`WANT_BUCKET`], as subjects.
pub const WANT_ALL: &str = "$KV.tvt_want.>";
/// Where stored want documents are republished.
pub const PUSH_WANT_ALL: &str = "tvt.v1.push.want.>";
/// The stream of results.
pub const OUT_STREAM: &str = "TVT_OUT";
/// All subjects of [`OUT_STREAM`].
pub const OUT_ALL: &str = "tvt.v1.out.*.*.*";
/// All requests of agents.
pub const RPC_ALL: &str = "tvt.v1.rpc.*.*.*";
/// All requests of operators.
pub const API_ALL: &str = "tvt.v1.api.*.*.*";
/// The queue group in which coordinators answer.
pub const COORDINATOR_QUEUE: &str = "coord";
/// All requests of agents, as the account of the coordinator offers them to the tenants' accounts.
pub const RPC_TREE: &str = "tvt.v1.rpc.>";
/// All results, likewise.
pub const OUT_TREE: &str = "tvt.v1.out.>";
/// The stream of pictures on their way.
pub const BLOB_STREAM: &str = "TVT_BLOB";
/// All subjects of [`BLOB_STREAM`].
pub const BLOB_ALL: &str = "tvt.v1.blob.*.*.*";
/// All chunks of pictures and files, likewise.
pub const BLOB_TREE: &str = "tvt.v1.blob.>";
/// Everything that is pushed to sites, likewise.
pub const PUSH_TREE: &str = "tvt.v1.push.>";
/// All requests of operators, as they are offered to the operators' account.
pub const API_TREE: &str = "tvt.v1.api.>";
/// Direct Gets of want documents, as they are offered to the tenants' accounts.
pub const WANT_GET_TREE: &str = "$JS.API.DIRECT.GET.KV_tvt_want.>";
/// The stream by which standbys follow the leading coordinator.
pub const REPLICA_LOG_STREAM: &str = "TVT_LOG";
/// The subject of its messages.
pub const REPLICA_LOG: &str = "tvt.v1.replica.log";
/// The stream of copies of the leader's database.
pub const SNAPSHOT_STREAM: &str = "TVT_SNAPSHOT";
/// All subjects of [`SNAPSHOT_STREAM`].
pub const SNAPSHOT_ALL: &str = "tvt.v1.replica.snapshot.>";
/// The newest copy that is complete.
pub const SNAPSHOT_NEWEST: &str = "tvt.v1.replica.snapshot.newest";
/// Where a standby tells the leader how far it is.
pub const STANDBY_REPORT: &str = "tvt.v1.replica.standby";
/// Enrolment of new agents, and of agents that were away for too long.
pub const ENROLL: &str = "tvt.v1.enroll";
/// The user token of operators on a server without accounts.
pub const ANONYMOUS_USER: &str = "local";

const ROOT: &str = "tvt.v1";

/// A part of a copy of the leader's database.
#[must_use]
pub fn snapshot_part(id: &str, part: u32) -> String {
    format!("{ROOT}.replica.snapshot.part.{id}.{part}")
}

/// All parts of a copy.
#[must_use]
pub fn snapshot_parts(id: &str) -> String {
    format!("{ROOT}.replica.snapshot.part.{id}.*")
}

/// A request of an agent to the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RpcOp {
    /// The agent has connected.
    Hello,
    /// The agent is alive.
    Heartbeat,
    /// How far a job is, while somebody watches.
    Progress,
    /// The work of a job that was too large for the want document.
    Spec,
    /// A new token, before the old one expires.
    Renew,
    /// How much of its pictures the coordinator has.
    Pictures,
}

impl RpcOp {
    /// Every request.
    pub const ALL: &'static [Self] = &[
        Self::Hello,
        Self::Heartbeat,
        Self::Progress,
        Self::Spec,
        Self::Renew,
        Self::Pictures,
    ];

    /// The token in the subject.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Heartbeat => "hb",
            Self::Progress => "prog",
            Self::Spec => "spec",
            Self::Renew => "renew",
            Self::Pictures => "pics",
        }
    }
}

/// A request of an operator to the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ApiOp {
    /// Submits a job.
    JobSubmit,
    /// Lists jobs.
    JobList,
    /// Shows a job.
    JobShow,
    /// Stops a job.
    JobCancel,
    /// Brings an operator's orders for a job that changes devices.
    JobSign,
    /// Reads a job's results.
    JobResults,
    /// Reads how the discoveries of a job went.
    JobSearches,
    /// Lists devices.
    InventoryList,
    /// Shows a device.
    InventoryShow,
    /// Brings devices in.
    InventoryImport,
    /// Labels, notes and forgets devices.
    InventoryEdit,
    /// Brings in results of earlier scans.
    InventoryResults,
    /// Lists changes.
    ChangeList,
    /// Answers a question in SQL.
    QueryRun,
    /// Lists sites.
    SiteList,
    /// Adds or changes a site.
    SiteAdd,
    /// Lists agents.
    AgentList,
    /// Tells about the coordinator.
    CoordinatorInfo,
    /// Takes what the fleet's authority says.
    RosterUpdate,
    /// Looks at everything and says what to do.
    CoordinatorCheck,
    /// Reads the audit.
    AuditList,
    /// Lists pictures.
    PictureList,
    /// Reads part of a picture.
    PictureRead,
    /// Lists the sealing keys of agents.
    CredentialKeys,
    /// Brings device credentials that are sealed to agents.
    CredentialPush,
    /// Lists what became of them.
    CredentialList,
}

impl ApiOp {
    /// Whether it changes anything; only the leading coordinator does that.
    #[must_use]
    pub const fn writes(self) -> bool {
        match self {
            Self::JobSubmit
            | Self::JobCancel
            | Self::JobSign
            | Self::InventoryImport
            | Self::InventoryEdit
            | Self::InventoryResults
            | Self::SiteAdd
            | Self::CredentialPush
            | Self::RosterUpdate => true,
            Self::JobList
            | Self::JobShow
            | Self::JobResults
            | Self::JobSearches
            | Self::InventoryList
            | Self::InventoryShow
            | Self::ChangeList
            | Self::QueryRun
            | Self::SiteList
            | Self::AgentList
            | Self::CoordinatorInfo
            | Self::CoordinatorCheck
            | Self::AuditList
            | Self::PictureList
            | Self::PictureRead
            | Self::CredentialKeys
            | Self::CredentialList => false,
        }
    }

    /// Every request.
    pub const ALL: &'static [Self] = &[
        Self::JobSubmit,
        Self::JobList,
        Self::JobShow,
        Self::JobCancel,
        Self::JobSign,
        Self::JobResults,
        Self::JobSearches,
        Self::InventoryList,
        Self::InventoryShow,
        Self::InventoryImport,
        Self::InventoryEdit,
        Self::InventoryResults,
        Self::ChangeList,
        Self::QueryRun,
        Self::SiteList,
        Self::SiteAdd,
        Self::AgentList,
        Self::CoordinatorInfo,
        Self::RosterUpdate,
        Self::CoordinatorCheck,
        Self::AuditList,
        Self::PictureList,
        Self::PictureRead,
        Self::CredentialKeys,
        Self::CredentialPush,
        Self::CredentialList,
    ];

    /// The two tokens in the subject.
    #[must_use]
    pub const fn tokens(self) -> (&'static str, &'static str) {
        match self {
            Self::JobSubmit => ("job", "submit"),
            Self::JobList => ("job", "list"),
            Self::JobShow => ("job", "show"),
            Self::JobCancel => ("job", "cancel"),
            Self::JobSign => ("job", "sign"),
            Self::JobResults => ("job", "results"),
            Self::JobSearches => ("job", "searches"),
            Self::InventoryList => ("inventory", "list"),
            Self::InventoryShow => ("inventory", "show"),
            Self::InventoryImport => ("inventory", "import"),
            Self::InventoryEdit => ("inventory", "edit"),
            Self::InventoryResults => ("inventory", "results"),
            Self::ChangeList => ("change", "list"),
            Self::QueryRun => ("query", "run"),
            Self::SiteList => ("site", "list"),
            Self::SiteAdd => ("site", "add"),
            Self::AgentList => ("agent", "list"),
            Self::CoordinatorInfo => ("coordinator", "info"),
            Self::RosterUpdate => ("roster", "update"),
            Self::CoordinatorCheck => ("coordinator", "check"),
            Self::AuditList => ("audit", "list"),
            Self::PictureList => ("picture", "list"),
            Self::PictureRead => ("picture", "read"),
            Self::CredentialKeys => ("credential", "keys"),
            Self::CredentialPush => ("credential", "push"),
            Self::CredentialList => ("credential", "list"),
        }
    }
}

/// The key of a site's want document in [`WANT_BUCKET`].
#[must_use]
pub fn want_key(site: &SiteId) -> String {
    format!("{}.{}", site.tenant, site.site)
}

/// The subject under which a site's want document is stored; what a Direct Get names.
#[must_use]
pub fn want_subject(site: &SiteId) -> String {
    format!("$KV.{WANT_BUCKET}.{}", want_key(site))
}

/// Everything that is pushed to a site.
#[must_use]
pub fn push_all(site: &SiteId) -> String {
    format!("{ROOT}.push.*.{}.{}", site.tenant, site.site)
}

/// Where a site's want document arrives once it is stored.
#[must_use]
pub fn push_want(site: &SiteId) -> String {
    format!("{ROOT}.push.want.{}.{}", site.tenant, site.site)
}

/// Where a site publishes a batch of its outbox.
#[must_use]
pub fn out(site: &SiteId, lane: Lane) -> String {
    let lane = match lane {
        Lane::Records => "rec",
        Lane::Events => "evt",
    };
    format!("{ROOT}.out.{}.{}.{lane}", site.tenant, site.site)
}

/// Reads the site and lane of an outbox subject.
#[must_use]
pub fn parse_out(subject: &str) -> Option<(SiteId, Lane)> {
    let (site, last) = parse(subject, "out")?;
    let lane = match last {
        "rec" => Lane::Records,
        "evt" => Lane::Events,
        _ => return None,
    };
    Some((site, lane))
}

/// Where a site publishes the chunks of its pictures.
#[must_use]
pub fn blob(site: &SiteId) -> String {
    format!("{ROOT}.blob.{}.{}.snap", site.tenant, site.site)
}

/// Reads the site of a chunk's subject.
#[must_use]
pub fn parse_blob(subject: &str) -> Option<SiteId> {
    let (site, class) = parse(subject, "blob")?;
    (class == "snap").then_some(site)
}

/// Where an agent sends a request.
#[must_use]
pub fn rpc(site: &SiteId, op: RpcOp) -> String {
    format!("{ROOT}.rpc.{}.{}.{}", site.tenant, site.site, op.token())
}

/// Reads the site and request of an agent's subject.
#[must_use]
pub fn parse_rpc(subject: &str) -> Option<(SiteId, RpcOp)> {
    let (site, last) = parse(subject, "rpc")?;
    let op = RpcOp::ALL.iter().copied().find(|op| op.token() == last)?;
    Some((site, op))
}

/// Where an operator sends a request. `user` is the operator's public key, or [`ANONYMOUS_USER`].
#[must_use]
pub fn api(user: &str, op: ApiOp) -> String {
    let (noun, verb) = op.tokens();
    format!("{ROOT}.api.{user}.{noun}.{verb}")
}

/// Every request that one operator may send.
#[must_use]
pub fn api_of(user: &str) -> String {
    format!("{ROOT}.api.{user}.>")
}

/// What the account of a tenant may ask of the coordinator's account: results, files, requests and
/// want documents of its own sites.
#[must_use]
pub fn tenant_services(tenant: &TenantId) -> [String; 4] {
    [
        format!("{ROOT}.out.{tenant}.>"),
        format!("{ROOT}.blob.{tenant}.>"),
        format!("{ROOT}.rpc.{tenant}.>"),
        format!("$JS.API.DIRECT.GET.{WANT_STREAM}.$KV.{WANT_BUCKET}.{tenant}.*"),
    ]
}

/// What the account of a tenant hears from the coordinator's account.
#[must_use]
pub fn tenant_pushes(tenant: &TenantId) -> String {
    format!("{ROOT}.push.*.{tenant}.*")
}

/// What an agent may publish. `site` is the site's name, or the placeholder that the server fills in.
#[must_use]
pub fn agent_publishes(tenant: &TenantId, site: &str) -> [String; 4] {
    [
        format!("{ROOT}.out.{tenant}.{site}.*"),
        format!("{ROOT}.blob.{tenant}.{site}.*"),
        format!("{ROOT}.rpc.{tenant}.{site}.*"),
        format!("$JS.API.DIRECT.GET.{WANT_STREAM}.$KV.{WANT_BUCKET}.{tenant}.{site}"),
    ]
}

/// What an agent may hear, besides its inbox. `site` as for [`agent_publishes`].
#[must_use]
pub fn agent_hears(tenant: &TenantId, site: &str) -> String {
    format!("{ROOT}.push.*.{tenant}.{site}")
}

/// The replies to one user.
#[must_use]
pub fn inbox_of(user: &str) -> String {
    format!("_INBOX.{user}.>")
}

/// Reads the user and request of an operator's subject.
#[must_use]
pub fn parse_api(subject: &str) -> Option<(&str, ApiOp)> {
    let rest = subject.strip_prefix(ROOT)?.strip_prefix(".api.")?;
    let mut tokens = rest.split('.');
    let (user, noun, verb) = (tokens.next()?, tokens.next()?, tokens.next()?);
    if user.is_empty() || tokens.next().is_some() {
        return None;
    }
    let op = ApiOp::ALL
        .iter()
        .copied()
        .find(|op| op.tokens() == (noun, verb))?;
    Some((user, op))
}

fn parse<'a>(subject: &'a str, class: &str) -> Option<(SiteId, &'a str)> {
    let rest = subject.strip_prefix(ROOT)?.strip_prefix('.')?;
    let mut tokens = rest.split('.');
    if tokens.next()? != class {
        return None;
    }
    let tenant = tokens.next()?.parse().ok()?;
    let site = tokens.next()?.parse().ok()?;
    let last = tokens.next()?;
    tokens
        .next()
        .is_none()
        .then_some((SiteId::new(tenant, site), last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> SiteId {
        "acme/depot-1".parse().unwrap()
    }

    #[test]
    fn subjects_read_back() {
        for lane in [Lane::Records, Lane::Events] {
            assert_eq!(parse_out(&out(&site(), lane)), Some((site(), lane)));
        }
        assert_eq!(parse_blob(&blob(&site())), Some(site()));
        assert_eq!(parse_blob("tvt.v1.blob.acme.depot-1.file"), None);
        for op in RpcOp::ALL {
            assert_eq!(parse_rpc(&rpc(&site(), *op)), Some((site(), *op)));
        }
        for op in ApiOp::ALL {
            assert_eq!(parse_api(&api("UABC", *op)), Some(("UABC", *op)));
        }
    }

    #[test]
    fn subjects_stand_as_documented() {
        assert_eq!(want_subject(&site()), "$KV.tvt_want.acme.depot-1");
        assert_eq!(push_want(&site()), "tvt.v1.push.want.acme.depot-1");
        assert_eq!(push_all(&site()), "tvt.v1.push.*.acme.depot-1");
        assert_eq!(out(&site(), Lane::Records), "tvt.v1.out.acme.depot-1.rec");
        assert_eq!(rpc(&site(), RpcOp::Heartbeat), "tvt.v1.rpc.acme.depot-1.hb");
        assert_eq!(api("U", ApiOp::JobSubmit), "tvt.v1.api.U.job.submit");
        let tenant = site().tenant;
        assert_eq!(
            agent_publishes(&tenant, "{{tag(site)}}"),
            [
                "tvt.v1.out.acme.{{tag(site)}}.*",
                "tvt.v1.blob.acme.{{tag(site)}}.*",
                "tvt.v1.rpc.acme.{{tag(site)}}.*",
                "$JS.API.DIRECT.GET.KV_tvt_want.$KV.tvt_want.acme.{{tag(site)}}",
            ]
        );
        assert_eq!(
            tenant_services(&tenant)[3],
            "$JS.API.DIRECT.GET.KV_tvt_want.$KV.tvt_want.acme.*"
        );
    }

    #[test]
    fn foreign_subjects_are_refused() {
        for subject in [
            "",
            "tvt.v1.out",
            "tvt.v1.out.acme.depot.rec.x",
            "tvt.v1.out.acme.de*pot.rec",
            "tvt.v1.out.acme..rec",
            "tvt.v2.out.acme.depot.rec",
            "tvt.v1.out.acme.depot.job",
        ] {
            assert_eq!(parse_out(subject), None, "{subject}");
        }
    }
}
