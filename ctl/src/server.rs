//! The coordinator, as fleet commands ask it.

use std::time::Duration;

use prost::Message;
use tvtfleet_bus::rpc::{self, RpcError};
use tvtfleet_bus::{Bus, BusError, ConnectOptions};
use tvtfleet_proto::convert::BadField;
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::agent::AgentView;
use tvtfleet_proto::model::api::{
    AddSite, CancelJob, CoordinatorInfo, DeviceView, ImportDevices, Imported, JobStatus,
    ListAgents, ListDevices, ListJobs, ListSites, Page, ReadResults, ReadSearches, ResultRow,
    ShowDevice, ShowJob, SignJob, SiteSearched, SiteView, SubmitJob, Submitted, UnsignedWork,
};
use tvtfleet_proto::model::audit::{AuditPage, ListAudit};
use tvtfleet_proto::model::change::{Change, ChangePage, ListChanges};
use tvtfleet_proto::model::checkup::Checkup;
use tvtfleet_proto::model::id::{JobId, SiteId, TargetNo};
use tvtfleet_proto::model::job::JobView;
use tvtfleet_proto::model::query::{EditDevices, ImportResults, QueryPage, RunQuery};
use tvtfleet_proto::subject::{self, ApiOp};
use tvtfleet_proto::wire::v1;

use crate::config::{Origin, ServerArgs, ServerSettings};
use crate::error::CliError;
use crate::io::Io;
use crate::signing;

mod credentials;
mod pictures;

/// The time allowed for one answer, beyond what the request itself asks to be held.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How often a request is sent that nobody answered. Every request may be repeated: submissions and
/// imports carry a key, the others change nothing or set what is set already.
const TRIES: u32 = 3;
/// The time between two of them.
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// A connection to the coordinator.
pub(crate) struct Server {
    bus: Bus,
    settings: ServerSettings,
}

impl Server {
    /// Connects to the NATS server that the options name.
    ///
    /// # Errors
    ///
    /// `bus.*` or `config.*`, with what to try next; `interrupted`.
    pub(crate) async fn connect(args: &ServerArgs, io: &Io) -> Result<Self, CliError> {
        let settings = args.settle(io)?;
        let options = ConnectOptions {
            urls: settings
                .urls
                .value
                .iter()
                .map(|url| url.expose().to_owned())
                .collect(),
            name: concat!("tvtctl ", env!("CARGO_PKG_VERSION")).to_owned(),
            credentials_file: settings.credentials.as_ref().map(|file| file.value.clone()),
            ca_file: settings.ca.as_ref().map(|file| file.value.clone()),
            ..ConnectOptions::default()
        };
        let connected = tokio::select! {
            connected = tvtfleet_bus::connect(&options) => connected,
            () = io.interrupt.cancelled() => {
                return Err(CliError::new(ErrorCode::Interrupted, "interrupted"));
            }
        };
        match connected {
            Ok(bus) => Ok(Self { bus, settings }),
            Err(error) => Err(bus_error(&error, &settings)),
        }
    }

    /// The server's addresses, without credentials.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        self.bus.servers()
    }

    /// Submits a job. One that changes devices is signed with the operator's key, where there is one.
    pub(crate) async fn submit_job(&self, request: SubmitJob) -> Result<Submitted, CliError> {
        let spec = request.spec.clone();
        let mut submitted: Submitted = self
            .ask::<v1::SubmitJob, v1::Submitted, _>(ApiOp::JobSubmit, request)
            .await?;
        submitted.job = self.with_all_sites(submitted.job).await?;
        if let Some(file) = &self.settings.credentials
            && spec.work.ask.changes_device()
        {
            signing::sign_job(self, &file.value, &spec, &submitted.job).await?;
        }
        Ok(submitted)
    }

    /// Brings orders for a job, and reads what is still to be signed.
    pub(crate) async fn sign_job(&self, request: SignJob) -> Result<UnsignedWork, CliError> {
        self.ask::<v1::SignJob, v1::UnsignedWork, _>(ApiOp::JobSign, request)
            .await
    }

    /// Lists jobs, newest first: one page.
    pub(crate) async fn list_jobs(&self, request: ListJobs) -> Result<Page<JobView>, CliError> {
        self.ask::<v1::ListJobs, v1::JobList, _>(ApiOp::JobList, request)
            .await
    }

    /// Shows a job with all its sites, perhaps once it has changed.
    pub(crate) async fn show_job(&self, request: ShowJob) -> Result<JobStatus, CliError> {
        let mut status: JobStatus = self
            .ask::<v1::ShowJob, v1::JobStatus, _>(ApiOp::JobShow, request.clone())
            .await?;
        let mut more = ShowJob {
            job: Some(status.job.id),
            after_version: 0,
            ..request
        };
        while let Some(next) = next_cursor(status.next.take(), &more.cursor)? {
            more.cursor = next;
            let page: JobStatus = self
                .ask::<v1::ShowJob, v1::JobStatus, _>(ApiOp::JobShow, more.clone())
                .await?;
            // The rest stays as the first page has it: what moves on meanwhile is a newer version.
            status.job.sites.extend(page.job.sites);
            status.progress.extend(page.progress);
            status.next = page.next;
        }
        Ok(status)
    }

    /// Stops a job.
    pub(crate) async fn cancel_job(&self, request: CancelJob) -> Result<JobView, CliError> {
        let job = self
            .ask::<v1::CancelJob, v1::JobView, _>(ApiOp::JobCancel, request)
            .await?;
        self.with_all_sites(job).await
    }

    /// A job with all its sites, of which an answer has the first page.
    async fn with_all_sites(&self, job: JobView) -> Result<JobView, CliError> {
        if usize::try_from(job.sites_total).is_ok_and(|total| job.sites.len() >= total) {
            return Ok(job);
        }
        let request = ShowJob {
            job: Some(job.id),
            after_version: 0,
            wait: Duration::ZERO,
            cursor: String::new(),
        };
        Ok(self.show_job(request).await?.job)
    }

    /// Reads all results of a job.
    pub(crate) async fn results(&self, job: JobId) -> Result<Vec<ResultRow>, CliError> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let request = ReadResults {
                job,
                cursor: cursor.clone(),
                limit: 0,
                site: None,
                after: None,
            };
            let page: Page<ResultRow> = self
                .ask::<v1::ReadResults, v1::ResultPage, _>(ApiOp::JobResults, request)
                .await?;
            rows.extend(page.rows);
            match next_cursor(page.next, &cursor)? {
                Some(next) => cursor = next,
                None => return Ok(rows),
            }
        }
    }

    /// Reads one page of the results of a site, behind a target.
    pub(crate) async fn results_after(
        &self,
        job: JobId,
        site: &SiteId,
        after: Option<TargetNo>,
    ) -> Result<Vec<ResultRow>, CliError> {
        let request = ReadResults {
            job,
            cursor: String::new(),
            limit: 0,
            site: Some(site.clone()),
            after,
        };
        let page: Page<ResultRow> = self
            .ask::<v1::ReadResults, v1::ResultPage, _>(ApiOp::JobResults, request)
            .await?;
        Ok(page.rows)
    }

    /// Reads how the discoveries of a job went.
    pub(crate) async fn searches(&self, job: JobId) -> Result<Vec<SiteSearched>, CliError> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let request = ReadSearches {
                job,
                cursor: cursor.clone(),
                limit: 0,
            };
            let page: Page<SiteSearched> = self
                .ask::<v1::ReadSearches, v1::SearchPage, _>(ApiOp::JobSearches, request)
                .await?;
            rows.extend(page.rows);
            match next_cursor(page.next, &cursor)? {
                Some(next) => cursor = next,
                None => return Ok(rows),
            }
        }
    }

    /// Lists all devices that `request` asks for, whatever its cursor says.
    pub(crate) async fn devices(
        &self,
        mut request: ListDevices,
    ) -> Result<Vec<DeviceView>, CliError> {
        let mut rows = Vec::new();
        request.cursor.clear();
        loop {
            let page: Page<DeviceView> = self
                .ask::<v1::ListDevices, v1::DevicePage, _>(ApiOp::InventoryList, request.clone())
                .await?;
            rows.extend(page.rows);
            match next_cursor(page.next, &request.cursor)? {
                Some(next) => request.cursor = next,
                None => return Ok(rows),
            }
        }
    }

    /// Shows one device.
    pub(crate) async fn show_device(&self, request: ShowDevice) -> Result<DeviceView, CliError> {
        self.ask::<v1::ShowDevice, v1::DeviceView, _>(ApiOp::InventoryShow, request)
            .await
    }

    /// Brings devices into the inventory.
    pub(crate) async fn import_devices(
        &self,
        request: ImportDevices,
    ) -> Result<Imported, CliError> {
        self.ask::<v1::ImportDevices, v1::Imported, _>(ApiOp::InventoryImport, request)
            .await
    }

    /// Labels, notes or forgets devices.
    pub(crate) async fn edit_devices(
        &self,
        request: EditDevices,
    ) -> Result<Vec<DeviceView>, CliError> {
        let page: Page<DeviceView> = self
            .ask::<v1::EditDevices, v1::DevicePage, _>(ApiOp::InventoryEdit, request)
            .await?;
        Ok(page.rows)
    }

    /// Brings in results of an earlier scan.
    pub(crate) async fn import_results(
        &self,
        request: ImportResults,
    ) -> Result<Imported, CliError> {
        self.ask::<v1::ImportResults, v1::Imported, _>(ApiOp::InventoryResults, request)
            .await
    }

    /// Lists all changes that `request` asks for, whatever its cursor says.
    pub(crate) async fn changes(&self, mut request: ListChanges) -> Result<Vec<Change>, CliError> {
        let mut rows = Vec::new();
        request.cursor.clear();
        loop {
            let page = self.changes_page(request.clone()).await?;
            rows.extend(page.rows);
            match next_cursor(page.next, &request.cursor)? {
                Some(next) => request.cursor = next,
                None => return Ok(rows),
            }
        }
    }

    /// Lists the changes that a job's reports brought.
    pub(crate) async fn changes_of(&self, job: &JobView) -> Result<Vec<Change>, CliError> {
        let request = ListChanges {
            since: Some(job.submitted_at),
            ..ListChanges::default()
        };
        let mut changes = self.changes(request).await?;
        changes.retain(|change| change.job == Some(job.id));
        Ok(changes)
    }

    /// Lists one page of changes, perhaps once there are any.
    pub(crate) async fn changes_page(&self, request: ListChanges) -> Result<ChangePage, CliError> {
        self.ask::<v1::ListChanges, v1::ChangePage, _>(ApiOp::ChangeList, request)
            .await
    }

    /// Reads one page of the audit.
    pub(crate) async fn audit_page(&self, request: ListAudit) -> Result<AuditPage, CliError> {
        self.ask::<v1::ListAudit, v1::AuditPage, _>(ApiOp::AuditList, request)
            .await
    }

    /// Asks a question in SQL, for up to `request.limit` rows.
    pub(crate) async fn query(&self, request: RunQuery) -> Result<QueryPage, CliError> {
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let mut answer = QueryPage::default();
        loop {
            let missing = limit.saturating_sub(answer.rows.len());
            let page: QueryPage = self
                .ask::<v1::RunQuery, v1::QueryPage, _>(
                    ApiOp::QueryRun,
                    RunQuery {
                        sql: request.sql.clone(),
                        skip: u64::try_from(answer.rows.len()).unwrap_or(u64::MAX),
                        limit: u32::try_from(missing).unwrap_or(u32::MAX),
                    },
                )
                .await?;
            let none = page.rows.is_empty();
            let mut rows = std::mem::take(&mut answer.rows);
            rows.extend(page.rows);
            answer = QueryPage { rows, ..page };
            if !answer.more || none || answer.rows.len() >= limit {
                return Ok(answer);
            }
        }
    }

    /// Lists all sites that `request` asks for, whatever its cursor says.
    pub(crate) async fn list_sites(
        &self,
        mut request: ListSites,
    ) -> Result<Vec<SiteView>, CliError> {
        let mut rows = Vec::new();
        request.cursor.clear();
        loop {
            let page: Page<SiteView> = self
                .ask::<v1::ListSites, v1::SiteList, _>(ApiOp::SiteList, request.clone())
                .await?;
            rows.extend(page.rows);
            match next_cursor(page.next, &request.cursor)? {
                Some(next) => request.cursor = next,
                None => return Ok(rows),
            }
        }
    }

    /// Shows one site.
    ///
    /// # Errors
    ///
    /// `site.unknown`, or the coordinator cannot be asked.
    pub(crate) async fn site(&self, site: &SiteId) -> Result<SiteView, CliError> {
        let request = ListSites {
            site: Some(site.clone()),
            ..ListSites::default()
        };
        let found = self.list_sites(request).await?.into_iter().next();
        found.ok_or_else(|| {
            CliError::new(ErrorCode::SiteUnknown, format!("there is no site {site}")).hint(hint(
                ErrorCode::SiteUnknown,
                None,
                &self.settings,
            ))
        })
    }

    /// Adds or changes a site.
    pub(crate) async fn add_site(&self, request: AddSite) -> Result<SiteView, CliError> {
        self.ask::<v1::AddSite, v1::SiteView, _>(ApiOp::SiteAdd, request)
            .await
    }

    /// Lists agents.
    pub(crate) async fn list_agents(&self) -> Result<Vec<AgentView>, CliError> {
        let mut rows = Vec::new();
        let mut request = ListAgents::default();
        loop {
            let page: Page<AgentView> = self
                .ask::<v1::ListAgents, v1::AgentList, _>(ApiOp::AgentList, request.clone())
                .await?;
            rows.extend(page.rows);
            match next_cursor(page.next, &request.cursor)? {
                Some(next) => request.cursor = next,
                None => return Ok(rows),
            }
        }
    }

    /// Has the coordinator look at everything.
    pub(crate) async fn checkup(&self) -> Result<Checkup, CliError> {
        self.ask::<v1::AskCheckup, v1::Checkup, _>(ApiOp::CoordinatorCheck, v1::AskCheckup {})
            .await
    }

    /// Asks the coordinator about itself.
    pub(crate) async fn info(&self) -> Result<CoordinatorInfo, CliError> {
        let info: v1::CoordinatorInfo = self
            .call::<v1::AskInfo, _>(ApiOp::CoordinatorInfo, v1::AskInfo {})
            .await?;
        Ok(info.into())
    }

    async fn ask<Req, Resp, Answer>(
        &self,
        op: ApiOp,
        request: impl Into<Req>,
    ) -> Result<Answer, CliError>
    where
        Req: Message,
        Resp: Message + Default,
        Answer: TryFrom<Resp>,
        BadField: From<Answer::Error>,
    {
        let answer: Resp = self.call::<Req, Resp>(op, request).await?;
        answer
            .try_into()
            .map_err(|error| self.unreadable(BadField::from(error)))
    }

    async fn call<Req, Resp>(&self, op: ApiOp, request: impl Into<Req>) -> Result<Resp, CliError>
    where
        Req: Message,
        Resp: Message + Default,
    {
        let subject = subject::api(self.user(), op);
        let request = request.into();
        let mut tries = 1_u32;
        loop {
            match rpc::request::<Req, Resp>(&self.bus, &subject, &request, ANSWER_WITHIN).await {
                Ok(answer) => return Ok(answer),
                Err(RpcError::Timeout { .. } | RpcError::Bus(BusError::Disconnected))
                    if tries < TRIES =>
                {
                    tries = tries.saturating_add(1);
                    tokio::time::sleep(BETWEEN_TRIES).await;
                }
                Err(error) => return Err(rpc_error(&error, &self.settings)),
            }
        }
    }

    fn convert_all<W, M>(&self, wire: Vec<W>) -> Result<Vec<M>, CliError>
    where
        M: TryFrom<W>,
        BadField: From<M::Error>,
    {
        wire.into_iter()
            .map(|item| {
                item.try_into()
                    .map_err(|error| self.unreadable(BadField::from(error)))
            })
            .collect()
    }

    fn unreadable(&self, error: BadField) -> CliError {
        rpc_error(&error.into(), &self.settings)
    }

    fn user(&self) -> &str {
        self.bus.user().unwrap_or(subject::ANONYMOUS_USER)
    }
}

/// The next cursor; one that does not move would be read for ever.
fn next_cursor(next: Option<String>, current: &str) -> Result<Option<String>, CliError> {
    if next.as_deref() == Some(current) {
        return Err(CliError::new(
            ErrorCode::MessageInvalid,
            "the coordinator's pages do not come to an end",
        ));
    }
    Ok(next)
}

fn bus_error(error: &BusError, settings: &ServerSettings) -> CliError {
    let shown = CliError::new(error.code(), error.to_string());
    let shown = match std::error::Error::source(error) {
        Some(source) => shown.because(source),
        None => shown,
    };
    // What is wrong with the options is wrong where they come from.
    let file = if let BusError::File { path, .. } = error {
        Some(path.as_path())
    } else if let BusError::Secrets(error) = error {
        Some(error.path())
    } else {
        None
    };
    if let Some(path) = file {
        let named = [&settings.credentials, &settings.ca];
        let origin = named
            .iter()
            .find_map(|file| file.as_ref().filter(|file| file.value == path))
            .map_or(&Origin::Default, |file| &file.origin);
        return shown.hint(format!("the file is from {origin}"));
    }
    if let BusError::Options(_) = error {
        return shown.hint(format!(
            "the server's address is from {}",
            settings.urls.origin
        ));
    }
    shown.hint(hint(error.code(), error.hint(), settings))
}

fn rpc_error(error: &RpcError, settings: &ServerSettings) -> CliError {
    if let RpcError::Bus(error) = error {
        return bus_error(error, settings);
    }
    let shown = CliError::new(error.code(), error.to_string());
    let shown = match std::error::Error::source(error) {
        Some(source) => shown.because(source),
        None => shown,
    };
    shown.hint(hint(error.code(), error.hint(), settings))
}

/// What to try next where the layer below does not say.
const HINTS: [(ErrorCode, &str); 7] = [
    (
        ErrorCode::SiteUnknown,
        "tvtctl sites list shows every site, tvtctl sites add adds one",
    ),
    (
        ErrorCode::JobUnknown,
        "tvtctl jobs list shows the newest jobs",
    ),
    (
        ErrorCode::DeviceUnknown,
        "tvtctl inventory list shows every device",
    ),
    (
        ErrorCode::JobNoTargets,
        "tvtctl inventory list shows what the same options select",
    ),
    (
        ErrorCode::CoordinatorTimeout,
        "try again; the coordinator's log says what it is busy with",
    ),
    (
        ErrorCode::MessageInvalid,
        "use the same version of tvtctl and the coordinator",
    ),
    (
        ErrorCode::MessageVersion,
        "use the same version of tvtctl and the coordinator",
    ),
];

/// What to try next: what the layer below says, else what this program knows.
fn hint(code: ErrorCode, below: Option<&str>, settings: &ServerSettings) -> String {
    let own = HINTS
        .iter()
        .find(|(known, _)| *known == code)
        .map_or("", |(_, hint)| *hint);
    let hint = below.unwrap_or(own).to_owned();
    let about_server = matches!(
        code,
        ErrorCode::BusUnreachable | ErrorCode::BusDenied | ErrorCode::CoordinatorAbsent
    );
    if about_server && settings.urls.origin == Origin::Default {
        format!("{hint}; --server or TVT_NATS_URL names another server")
    } else if about_server {
        format!(
            "{hint}; the server's address is from {}",
            settings.urls.origin
        )
    } else {
        hint
    }
}
