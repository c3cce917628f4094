//! Bringing the devices of an inventory into the fleet.

use serde::Serialize;
use tvtfleet_proto::model::api::{IMPORT_CHUNK, ImportDevices, Imported, ListSites};
use tvtfleet_proto::model::id::{ImportId, SiteId, TenantId};
use tvtfleet_proto::model::inventory::InventoryEntry;

use crate::error::CliError;
use crate::id;
use crate::io::Io;
use crate::mapping::Mapping;
use crate::output::Row;
use crate::server::Server;

/// Which sites the devices belong to.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// All of them to one site.
    Site(SiteId),
    /// Each to the site of this tenant that its entry names.
    Tenant(TenantId),
}

/// What an import did.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    import: String,
    added: u32,
    updated: u32,
    unchanged: u32,
    sites_added: Vec<String>,
    /// Entries that no device came of.
    pub(crate) refused: u32,
}

impl Row for Summary {
    const NOUN: &'static str = "imports";
    const HEADS: &'static [&'static str] = &[
        "IMPORT",
        "ADDED",
        "UPDATED",
        "UNCHANGED",
        "REFUSED",
        "NEW SITES",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.import.clone(),
            self.added.to_string(),
            self.updated.to_string(),
            self.unchanged.to_string(),
            self.refused.to_string(),
            self.sites_added.join(","),
        ]
    }
}

impl Summary {
    /// Says which import it is.
    pub(crate) fn name(&mut self, import: ImportId) {
        self.import = import.to_string();
    }

    /// Says that a site was added.
    pub(crate) fn added_site(&mut self, site: &SiteId) {
        self.sites_added.push(site.to_string());
    }

    /// Counts what one request did.
    pub(crate) fn count(&mut self, answer: &Imported) {
        self.added = self.added.saturating_add(answer.added);
        self.updated = self.updated.saturating_add(answer.updated);
        self.unchanged = self.unchanged.saturating_add(answer.unchanged);
    }

    /// How many devices the import names.
    #[must_use]
    pub(crate) const fn devices(&self) -> u32 {
        self.added
            .saturating_add(self.updated)
            .saturating_add(self.unchanged)
    }
}

/// Sends entries to the coordinator and names every one that is refused on stderr.
///
/// # Errors
///
/// Where the coordinator cannot be asked or refuses a whole request.
pub(crate) async fn import(
    server: &Server,
    entries: Vec<InventoryEntry>,
    place: Place,
    create_sites: bool,
    labels: &[String],
    io: &Io,
) -> Result<(ImportId, Summary), CliError> {
    let mut mapping = match place {
        Place::Site(site) => Mapping::Fixed(site),
        Place::Tenant(tenant) => {
            let known = ListSites {
                tenants: vec![tenant.clone()],
                ..ListSites::default()
            };
            Mapping::by_text(tenant, &server.list_sites(known).await?, create_sites)
        }
    };
    let import = ImportId::new(id::fresh(&*io.clock));
    let mut summary = Summary {
        import: import.to_string(),
        ..Summary::default()
    };
    let mut placed = Vec::with_capacity(entries.len());
    for entry in entries {
        match mapping.site(&entry.site_label) {
            Ok(site) => placed.push((site, entry)),
            Err(error) => {
                summary.refused = summary.refused.saturating_add(1);
                io.warn(&format!(
                    "refused {}: {error} [{}]",
                    entry.host,
                    error.code()
                ));
            }
        }
    }
    for site in mapping.created() {
        server.add_site(site.clone()).await?;
        summary.sites_added.push(site.site.to_string());
    }
    let mut rest = placed.into_iter();
    loop {
        let chunk: Vec<_> = rest.by_ref().take(IMPORT_CHUNK).collect();
        if chunk.is_empty() {
            return Ok((import, summary));
        }
        let request = ImportDevices {
            import,
            entries: chunk.clone(),
            labels: labels.to_vec(),
            create_sites,
        };
        let answer = server.import_devices(request).await?;
        summary.count(&answer);
        summary
            .sites_added
            .extend(answer.sites_added.iter().map(ToString::to_string));
        for (position, code, text) in &answer.refused {
            summary.refused = summary.refused.saturating_add(1);
            let named = usize::try_from(*position)
                .ok()
                .and_then(|position| chunk.get(position))
                .map_or_else(
                    || format!("entry {position}"),
                    |(_, entry)| entry.host.to_string(),
                );
            io.warn(&format!("refused {named}: {text} [{code}]"));
        }
    }
}
