//! Checks requests for what their types cannot say. Pure.

use std::time::Duration;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{
    AddSite, ApiError, IMPORT_CHUNK, ImportDevices, ListDevices, ListSites,
};
use tvtfleet_proto::model::ask::Ask;
use tvtfleet_proto::model::change::ListChanges;
use tvtfleet_proto::model::inventory::InventoryEntry;
use tvtfleet_proto::model::job::{JobSpec, MAX_PARALLEL, Selector};
use tvtfleet_proto::model::query::{EDIT_MAX, EditDevices, ImportResults};

/// The shortest and longest deadline of a job.
const DEADLINES: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(30 * 24 * 3600));
/// The longest name, label or note, in characters.
const TEXT_MAX: usize = 500;
/// The most names in a list of a request.
const NAMES_MAX: usize = 10_000;
/// The most labels of one site or import.
const LABELS_MAX: usize = 64;

/// The entries of an import that were refused before the database saw them.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// Their position in the request, why, and a sentence.
    pub(super) entries: Vec<(u32, ErrorCode, String)>,
}

impl Refused {
    /// The position in the request of the entry that is `position`-th among those kept.
    pub(super) fn original(&self, position: u32) -> u32 {
        let mut original = position;
        for (refused, ..) in &self.entries {
            if *refused <= original {
                original = original.saturating_add(1);
            }
        }
        original
    }
}

/// Checks a job.
pub(super) fn job(spec: &JobSpec) -> Result<(), ApiError> {
    let (shortest, longest) = DEADLINES;
    if spec.deadline < shortest || spec.deadline > longest {
        return Err(usage("the deadline must be between one second and 30 days"));
    }
    if spec.work.parallel == 0 || spec.work.parallel > MAX_PARALLEL {
        return Err(usage(format!(
            "devices at a time must be between 1 and {MAX_PARALLEL}"
        )));
    }
    if spec.work.device_deadline.is_zero() || spec.work.device_deadline > spec.deadline {
        return Err(usage(
            "the deadline of one device must be more than 0, and within the job's",
        ));
    }
    text("the note", &spec.note)?;
    if spec.work.ask == Ask::Discover && spec.work.discover.is_none() {
        return Err(usage("a discovery needs to be told how to look"));
    }
    match (&spec.work.order, spec.work.ask.changes_device()) {
        (Some(order), true) => {
            order
                .check(spec.work.ask)
                .map_err(|error| usage(error.to_string()))?;
            // What was just found is nobody's to change yet.
            if spec.work.discover.is_some() {
                return Err(usage("a change is for devices of the inventory"));
            }
        }
        (None, true) => return Err(usage("a change needs to be told what to set")),
        (Some(_), false) => return Err(usage("this ask changes nothing")),
        (None, false) => {}
    }
    match &spec.selector {
        Selector::Match {
            tenants,
            sites,
            labels,
        } => {
            names(tenants.len().saturating_add(sites.len()))?;
            list_of_labels(labels)
        }
        Selector::All | Selector::Import(_) | Selector::FailedOf(_) => Ok(()),
    }
}

/// Checks a list of devices.
pub(super) fn list_devices(request: &ListDevices) -> Result<(), ApiError> {
    names(request.tenants.len().saturating_add(request.sites.len()))?;
    list_of_labels(&request.labels)?;
    if request.at.is_some() && !request.standings.is_empty() {
        return Err(usage(
            "what discoveries made of devices is known for now only",
        ));
    }
    text("the text", &request.text)
}

/// Checks a list of changes.
pub(super) fn list_changes(request: &ListChanges) -> Result<(), ApiError> {
    let lists = [
        request.tenants.len(),
        request.sites.len(),
        request.devices.len(),
        request.kinds.len(),
    ];
    names(lists.into_iter().sum())
}

/// Checks an edit of devices.
pub(super) fn edit(request: &EditDevices) -> Result<(), ApiError> {
    if request.devices.is_empty() || request.devices.len() > EDIT_MAX {
        return Err(usage(format!("name between 1 and {EDIT_MAX} devices")));
    }
    list_of_labels(&request.add_labels)?;
    list_of_labels(&request.remove_labels)?;
    text("the note", request.note.as_deref().unwrap_or_default())
}

/// Checks results of an earlier scan.
pub(super) fn results(request: &ImportResults) -> Result<(), ApiError> {
    if request.results.len() > IMPORT_CHUNK {
        return Err(usage(format!(
            "an import request holds at most {IMPORT_CHUNK} results"
        )));
    }
    let trouble = request
        .results
        .iter()
        .find_map(|result| entry_trouble(&result.entry));
    trouble.map_or(Ok(()), |reason| Err(usage(reason)))
}

/// Checks a list of sites.
pub(super) fn list_sites(request: &ListSites) -> Result<(), ApiError> {
    names(request.tenants.len())
}

/// Checks a site.
pub(super) fn site(request: &AddSite) -> Result<(), ApiError> {
    text("the name", &request.display_name)?;
    list_of_labels(&request.labels)
}

/// Checks an import, and takes out the entries that cannot be used.
pub(super) fn import(request: ImportDevices) -> Result<(ImportDevices, Refused), ApiError> {
    if request.entries.len() > IMPORT_CHUNK {
        return Err(usage(format!(
            "an import request holds at most {IMPORT_CHUNK} entries"
        )));
    }
    list_of_labels(&request.labels)?;
    let mut refused = Refused::default();
    let mut kept = Vec::with_capacity(request.entries.len());
    for (position, (site, entry)) in (0_u32..).zip(request.entries) {
        match entry_trouble(&entry) {
            None => kept.push((site, entry)),
            Some(reason) => {
                refused
                    .entries
                    .push((position, ErrorCode::InventoryEntryInvalid, reason));
            }
        }
    }
    Ok((
        ImportDevices {
            entries: kept,
            ..request
        },
        refused,
    ))
}

fn entry_trouble(entry: &InventoryEntry) -> Option<String> {
    if entry.port == Some(0) {
        return Some("0 is no port".to_owned());
    }
    let texts = [
        ("site label", &entry.site_label),
        ("host name", &entry.hostname),
        ("MAC address", &entry.mac_text),
        ("maker", &entry.manufacturer),
    ];
    texts
        .into_iter()
        .find(|(_, text)| text.chars().count() > TEXT_MAX)
        .map(|(what, _)| format!("the {what} is longer than {TEXT_MAX} characters"))
}

fn list_of_labels(labels: &[String]) -> Result<(), ApiError> {
    if labels.len() > LABELS_MAX {
        return Err(usage(format!("at most {LABELS_MAX} labels")));
    }
    if labels.iter().any(|label| label.trim().is_empty()) {
        return Err(usage("a label is empty"));
    }
    labels.iter().try_for_each(|label| text("a label", label))
}

fn names(count: usize) -> Result<(), ApiError> {
    if count > NAMES_MAX {
        Err(usage(format!("at most {NAMES_MAX} names")))
    } else {
        Ok(())
    }
}

fn text(what: &str, text: &str) -> Result<(), ApiError> {
    if text.chars().count() > TEXT_MAX {
        Err(usage(format!(
            "{what} is longer than {TEXT_MAX} characters"
        )))
    } else {
        Ok(())
    }
}

fn usage(message: impl Into<String>) -> ApiError {
    ApiError {
        code: ErrorCode::UsageInvalid,
        message: message.into(),
        hint: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tvtfleet_proto::model::id::ImportId;
    use tvtfleet_proto::model::job::WorkOptions;

    fn spec() -> JobSpec {
        JobSpec {
            selector: Selector::All,
            work: WorkOptions::default(),
            deadline: Duration::from_secs(60),
            note: String::new(),
        }
    }

    #[test]
    fn jobs_without_sense_are_refused() {
        assert_eq!(job(&spec()), Ok(()));
        let work = |change: fn(&mut WorkOptions)| {
            let mut spec = spec();
            change(&mut spec.work);
            spec
        };
        for bad in [
            JobSpec {
                deadline: Duration::ZERO,
                ..spec()
            },
            JobSpec {
                deadline: Duration::MAX,
                ..spec()
            },
            JobSpec {
                note: "x".repeat(501),
                ..spec()
            },
            work(|work| work.parallel = 0),
            work(|work| work.parallel = MAX_PARALLEL + 1),
            work(|work| work.device_deadline = Duration::from_secs(61)),
            JobSpec {
                selector: Selector::Match {
                    tenants: Vec::new(),
                    sites: Vec::new(),
                    labels: vec![" ".into()],
                },
                ..spec()
            },
        ] {
            assert_eq!(
                job(&bad).unwrap_err().code,
                ErrorCode::UsageInvalid,
                "{bad:?}"
            );
        }
    }

    #[test]
    fn positions_count_in_the_request_as_it_came() {
        let entry = |port| InventoryEntry {
            port: Some(port),
            ..InventoryEntry::bare("10.0.0.1".parse().unwrap())
        };
        let request = ImportDevices {
            import: ImportId::new(uuid::Uuid::nil()),
            entries: [0, 1, 0, 2]
                .map(|port| ("a/b".parse().unwrap(), entry(port)))
                .to_vec(),
            labels: Vec::new(),
            create_sites: false,
        };
        let (kept, refused) = import(request).unwrap();
        assert_eq!(kept.entries.len(), 2);
        assert_eq!(
            refused
                .entries
                .iter()
                .map(|entry| entry.0)
                .collect::<Vec<_>>(),
            [0, 2]
        );
        assert_eq!([refused.original(0), refused.original(1)], [1, 3]);
    }
}
