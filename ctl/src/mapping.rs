//! From the free text of an inventory's `site` column to the sites of a tenant.

use std::collections::BTreeMap;

use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::{AddSite, SiteView};
use tvtfleet_proto::model::id::{NAME_MAX, SiteId, SiteName, TenantId};

/// Why an entry gets no site.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSite {
    /// The entry says nothing.
    #[error("the entry names no site")]
    Unnamed,
    /// No site of the tenant has this name.
    #[error("no site of tenant {tenant} is called {label:?}")]
    Unknown {
        /// The tenant.
        tenant: TenantId,
        /// The text of the entry.
        label: String,
    },
    /// No site name can be made of the text.
    #[error("no site name can be made of {0:?}")]
    Unspeakable(String),
}

impl NoSite {
    /// The stable code.
    #[must_use]
    pub(crate) const fn code(&self) -> ErrorCode {
        ErrorCode::InventoryEntryNoSite
    }
}

/// Finds the site of each entry.
#[derive(Debug)]
pub(crate) enum Mapping {
    /// Every entry belongs to this site, whatever it says.
    Fixed(SiteId),
    /// The entry's text decides, within a tenant.
    ByText(ByText),
}

/// See [`Mapping::ByText`].
#[derive(Debug)]
pub(crate) struct ByText {
    tenant: TenantId,
    create: bool,
    /// Sites by name with their display names; grows with the sites to be created.
    known: BTreeMap<SiteName, String>,
    created: Vec<AddSite>,
}

impl Mapping {
    /// A mapping by text over the sites that `tenant` has.
    #[must_use]
    pub(crate) fn by_text(tenant: TenantId, known: &[SiteView], create: bool) -> Self {
        let known = known
            .iter()
            .filter(|view| view.site.tenant == tenant)
            .map(|view| (view.site.site.clone(), view.display_name.clone()))
            .collect();
        Self::ByText(ByText {
            tenant,
            create,
            known,
            created: Vec::new(),
        })
    }

    /// The site of an entry that says `label`.
    ///
    /// A site's short name counts before its display name, and both before a new site.
    ///
    /// # Errors
    ///
    /// `inventory.entry_no_site`.
    pub(crate) fn site(&mut self, label: &str) -> Result<SiteId, NoSite> {
        match self {
            Self::Fixed(site) => Ok(site.clone()),
            Self::ByText(mapping) => {
                let site = mapping.name(label.trim())?;
                Ok(SiteId::new(mapping.tenant.clone(), site))
            }
        }
    }

    /// The sites that the entries asked for so far need and the tenant does not have.
    #[must_use]
    pub(crate) fn created(&self) -> &[AddSite] {
        match self {
            Self::Fixed(_) => &[],
            Self::ByText(mapping) => &mapping.created,
        }
    }
}

impl ByText {
    fn name(&mut self, label: &str) -> Result<SiteName, NoSite> {
        if label.is_empty() {
            return Err(NoSite::Unnamed);
        }
        let exact = label
            .parse()
            .ok()
            .filter(|name| self.known.contains_key(name));
        let displayed = || {
            self.known
                .iter()
                .find(|(_, display)| *display == label)
                .map(|(name, _)| name.clone())
        };
        if let Some(name) = exact.or_else(displayed) {
            return Ok(name);
        }
        if !self.create {
            let tenant = self.tenant.clone();
            return Err(NoSite::Unknown {
                tenant,
                label: label.to_owned(),
            });
        }
        // A site that was added without a name for people is meant by the text it is named after.
        let nameless = slug(label).parse().ok();
        if let Some(name) =
            nameless.filter(|name| self.known.get(name).is_some_and(String::is_empty))
        {
            return Ok(name);
        }
        let name = self
            .free_name(label)
            .ok_or_else(|| NoSite::Unspeakable(label.to_owned()))?;
        self.known.insert(name.clone(), label.to_owned());
        self.created.push(AddSite {
            site: SiteId::new(self.tenant.clone(), name.clone()),
            display_name: label.to_owned(),
            labels: Vec::new(),
        });
        Ok(name)
    }

    /// The slug of the text, with a number where another site has it: two places whose names differ
    /// in a hyphen only must not become one.
    fn free_name(&self, label: &str) -> Option<SiteName> {
        let slug = slug(label);
        (1_u32..=1000).find_map(|number| {
            let text = if number == 1 {
                slug.clone()
            } else {
                let ending = format!("-{number}");
                let room = NAME_MAX.saturating_sub(ending.len());
                let start: String = slug.chars().take(room).collect();
                format!("{}{ending}", start.trim_end_matches('-'))
            };
            text.parse::<SiteName>()
                .ok()
                .filter(|name| !self.known.contains_key(name))
        })
    }
}

/// Lower-case letters, digits and single hyphens; letters with marks lose them, German umlauts and ß
/// become two letters. Empty where nothing is left.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for character in text.chars().flat_map(char::to_lowercase) {
        let plain = match character {
            'a'..='z' | '0'..='9' => {
                slug.push(character);
                continue;
            }
            'ä' | 'æ' => "ae",
            'ö' | 'ø' | 'œ' => "oe",
            'ü' => "ue",
            'ß' => "ss",
            'à' | 'á' | 'â' | 'ã' | 'å' | 'ą' | 'ă' | 'ā' => "a",
            'ç' | 'ć' | 'č' => "c",
            'ď' | 'đ' => "d",
            'è' | 'é' | 'ê' | 'ë' | 'ę' | 'ě' | 'ē' => "e",
            'ğ' => "g",
            'ì' | 'í' | 'î' | 'ï' | 'ı' | 'ī' => "i",
            'ł' => "l",
            'ñ' | 'ń' | 'ň' => "n",
            'ò' | 'ó' | 'ô' | 'õ' | 'ő' | 'ō' => "o",
            'ř' => "r",
            'ś' | 'š' | 'ş' | 'ș' => "s",
            'ť' | 'ț' => "t",
            'ù' | 'ú' | 'û' | 'ů' | 'ű' | 'ū' => "u",
            'ý' | 'ÿ' => "y",
            'ź' | 'ż' | 'ž' => "z",
            // A combining mark after its letter, as "İ" has in lower case.
            '\u{300}'..='\u{36f}' | '\'' | '\u{2019}' => "",
            _ if slug.is_empty() || slug.ends_with('-') => "",
            _ => "-",
        };
        slug.push_str(plain);
    }
    slug.chars()
        .take(NAME_MAX)
        .collect::<String>()
        .trim_end_matches('-')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(site: &str, display: &str) -> SiteView {
        SiteView {
            site: site.parse().unwrap(),
            display_name: display.to_owned(),
            labels: Vec::new(),
            online: false,
            last_seen: None,
            devices: 0,
            failing: 0,
            open_jobs: 0,
        }
    }

    fn mapping(create: bool) -> Mapping {
        let known = [
            view("acme/depot-1", "Depot One"),
            view("acme/yard-7", ""),
            view("other/depot-2", "Depot Two"),
        ];
        Mapping::by_text("acme".parse().unwrap(), &known, create)
    }

    #[test]
    fn slugs_are_site_names() {
        for (text, expected) in [
            ("Harbour North", "harbour-north"),
            ("Lager Süd (Öl & Gas)", "lager-sued-oel-gas"),
            ("Straße 5", "strasse-5"),
            ("  --A__B-- ", "a-b"),
            ("Café Žižkov", "cafe-zizkov"),
            ("入口", ""),
        ] {
            assert_eq!(slug(text), expected, "{text}");
        }
        assert_eq!(slug(&"long name ".repeat(10)).len(), 39);
    }

    #[test]
    fn known_sites_are_found_by_either_name() {
        let mut mapping = mapping(false);
        for label in ["depot-1", "Depot One", " Depot One "] {
            assert_eq!(mapping.site(label).unwrap().to_string(), "acme/depot-1");
        }
        assert!(matches!(
            mapping.site("depot-2"),
            Err(NoSite::Unknown { .. })
        ));
        assert_eq!(mapping.site(" "), Err(NoSite::Unnamed));
        assert!(mapping.created().is_empty());
    }

    #[test]
    fn new_sites_get_a_free_name_once() {
        let mut mapping = mapping(true);
        let mut site = |label| mapping.site(label).map(|site| site.site.to_string());
        assert_eq!(site("A/B").as_deref(), Ok("a-b"));
        assert_eq!(site("A_B").as_deref(), Ok("a-b-2"));
        assert_eq!(site("A/B").as_deref(), Ok("a-b"));
        assert_eq!(site("Depot 1").as_deref(), Ok("depot-1-2"));
        assert_eq!(site("Yard 7").as_deref(), Ok("yard-7"));
        assert!(matches!(site("入口"), Err(NoSite::Unspeakable(_))));
        let names: Vec<_> = mapping
            .created()
            .iter()
            .map(|site| site.display_name.as_str())
            .collect();
        assert_eq!(names, ["A/B", "A_B", "Depot 1"]);
    }
}
