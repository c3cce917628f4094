//! The workbook part: its tabs, their relationships and content types, and the filters' names.

use super::package::{Package, relationships_of, resolve};
use super::refusal::Refusal;
use super::xml::{Element, Outline, Splices, escape, local, with_attribute};

const CONTENT_TYPES: &str = "[Content_Types].xml";
const PACKAGE_RELATIONSHIPS: &str = "_rels/.rels";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
/// Relationship types of workbooks saved as Strict Open XML.
const STRICT: &str = "http://purl.oclc.org/ooxml/";
const PLAIN_WORKBOOK: &str =
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml";
const WORKSHEET: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml";
/// The defined name under which a tab's filter range stands.
const FILTER: &str = "_xlnm._FilterDatabase";

/// One tab.
#[derive(Clone, Debug)]
pub(super) struct Tab {
    /// Its name as shown.
    pub(super) name: String,
    /// Its part.
    pub(super) part: String,
    /// Whether it is a sheet of cells, not of a chart or a dialogue.
    pub(super) is_worksheet: bool,
    /// Its position among the tabs, from 0.
    index: usize,
}

/// The workbook part, with the changes that are wanted.
#[derive(Debug)]
pub(super) struct Workbook {
    part: String,
    tabs: Vec<Tab>,
    added: Vec<Tab>,
    filters: Vec<(usize, String)>,
    styles: Option<String>,
    strings: Option<String>,
    calculation_chain: Option<String>,
    drop_chain: bool,
}

impl Workbook {
    /// Finds the workbook part and its tabs.
    pub(super) fn read(package: &Package<'_>) -> Result<Self, Refusal> {
        let part = main_part(package)?;
        check_kind(package, &part)?;
        let links = relationships_of(&part);
        let outline = Outline::read(&links, package.text(&links)?)?;
        let relationships: Vec<(String, String, String)> = outline
            .all("Relationship")
            .map(|link| {
                let attribute = |name| link.attribute(name).unwrap_or_default().to_owned();
                (
                    attribute("Id"),
                    attribute("Type"),
                    resolve(&part, &attribute("Target")),
                )
            })
            .collect();
        let of_type = |kind: &str| {
            relationships
                .iter()
                .find(|(_, of, target)| *of == format!("{OFFICE}/{kind}") && package.has(target))
                .map(|(_, _, target)| target.clone())
        };
        let outline = Outline::read(&part, package.text(&part)?)?;
        let mut tabs = Vec::new();
        for (index, sheet) in outline.all("sheet").enumerate() {
            let id = relationship_id(sheet).map(|(_, id)| id);
            let Some((_, kind, target)) = relationships
                .iter()
                .find(|(link, ..)| Some(link.as_str()) == id)
            else {
                return Err(Refusal::damaged(format!("{part}: a tab without a part")));
            };
            tabs.push(Tab {
                name: sheet.attribute("name").unwrap_or_default().to_owned(),
                part: target.clone(),
                is_worksheet: kind.ends_with("/worksheet"),
                index,
            });
        }
        if tabs.is_empty() {
            return Err(Refusal::damaged(format!("{part}: no tabs")));
        }
        Ok(Self {
            styles: of_type("styles"),
            strings: of_type("sharedStrings"),
            calculation_chain: of_type("calcChain"),
            part,
            tabs,
            added: Vec::new(),
            filters: Vec::new(),
            drop_chain: false,
        })
    }

    /// The part of the cell formats.
    pub(super) fn styles_part(&self) -> Option<&str> {
        self.styles.as_deref()
    }

    /// The part of the shared strings.
    pub(super) fn shared_strings_part(&self) -> Option<&str> {
        self.strings.as_deref()
    }

    /// The tab of a name; case does not count, as in Excel.
    pub(super) fn tab(&self, name: &str) -> Option<Tab> {
        let wanted = name.to_lowercase();
        let mut tabs = self.tabs.iter().chain(&self.added);
        tabs.find(|tab| tab.name.to_lowercase() == wanted).cloned()
    }

    /// The names of all tabs, in their order.
    pub(super) fn tab_names(&self) -> Vec<String> {
        self.tabs.iter().map(|tab| tab.name.clone()).collect()
    }

    /// Adds a tab at the end.
    pub(super) fn add_tab(&mut self, package: &Package<'_>, name: &str) -> Tab {
        let folder = self.part.rsplit_once('/').map_or("", |(folder, _)| folder);
        let folder = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        let is_free = |part: &String| {
            !package.has(part)
                && self
                    .added
                    .iter()
                    .all(|tab| !tab.part.eq_ignore_ascii_case(part))
        };
        let part = (1_u32..)
            .map(|number| format!("{folder}worksheets/sheet{number}.xml"))
            .find(is_free)
            .unwrap_or_default();
        let tab = Tab {
            name: name.to_owned(),
            part,
            is_worksheet: true,
            index: self.tabs.len() + self.added.len(),
        };
        self.added.push(tab.clone());
        tab
    }

    /// Notes a tab's filter range, as `$A$1:$J$5`.
    pub(super) fn set_filter(&mut self, tab: &Tab, range: &str) {
        let name = tab.name.replace('\'', "''");
        self.filters.push((tab.index, format!("'{name}'!{range}")));
    }

    /// Leaves the list of formulas out; the application makes it anew.
    pub(super) fn drop_calculation_chain(&mut self, package: &mut Package<'_>) {
        if let Some(part) = &self.calculation_chain {
            package.remove(part);
            self.drop_chain = true;
        }
    }

    /// Writes the changes to the package.
    pub(super) fn write(&self, package: &mut Package<'_>) -> Result<(), Refusal> {
        let links = relationships_of(&self.part);
        let links_text = package.text(&links)?.to_owned();
        let links_outline = Outline::read(&links, &links_text)?;
        let ids = self.new_ids(&links_outline);
        package.set(&links, self.edited_links(&links_text, &links_outline, &ids));
        let text = package.text(&self.part)?.to_owned();
        let edited = self.edited_workbook(&text, &ids)?;
        package.set(&self.part, edited);
        let types = package.text(CONTENT_TYPES)?.to_owned();
        let edited = self.edited_types(&types)?;
        package.set(CONTENT_TYPES, edited);
        Ok(())
    }

    fn new_ids(&self, links: &Outline) -> Vec<String> {
        let taken: Vec<&str> = links
            .all("Relationship")
            .filter_map(|link| link.attribute("Id"))
            .collect();
        (1_u32..)
            .map(|number| format!("rId{number}"))
            .filter(|id| !taken.iter().any(|taken| taken.eq_ignore_ascii_case(id)))
            .take(self.added.len())
            .collect()
    }

    fn edited_links(&self, text: &str, outline: &Outline, ids: &[String]) -> String {
        let mut splices = Splices::default();
        for link in outline.all("Relationship") {
            let target = resolve(&self.part, link.attribute("Target").unwrap_or_default());
            if self.drop_chain && self.calculation_chain.as_deref() == Some(target.as_str()) {
                splices.put(link.whole.clone(), "");
            }
        }
        if let Some(root) = outline.root() {
            let prefix = root.prefix();
            for (tab, id) in self.added.iter().zip(ids) {
                let target = escape(&tab.part);
                let link = format!(
                    "<{prefix}Relationship Id=\"{id}\" Type=\"{OFFICE}/worksheet\" Target=\"/{target}\"/>"
                );
                splices.append_to(root, &link, text);
            }
        }
        splices.apply(text)
    }

    fn edited_types(&self, text: &str) -> Result<String, Refusal> {
        let outline = Outline::read(CONTENT_TYPES, text)?;
        let mut splices = Splices::default();
        for entry in outline.all("Override") {
            let part = entry
                .attribute("PartName")
                .unwrap_or_default()
                .trim_start_matches('/');
            if self.drop_chain
                && self
                    .calculation_chain
                    .as_deref()
                    .is_some_and(|chain| chain.eq_ignore_ascii_case(part))
            {
                splices.put(entry.whole.clone(), "");
            }
        }
        if let Some(root) = outline.root() {
            let prefix = root.prefix();
            for tab in &self.added {
                let part = escape(&tab.part);
                let entry =
                    format!("<{prefix}Override PartName=\"/{part}\" ContentType=\"{WORKSHEET}\"/>");
                splices.append_to(root, &entry, text);
            }
        }
        Ok(splices.apply(text))
    }

    fn edited_workbook(&self, text: &str, ids: &[String]) -> Result<String, Refusal> {
        let outline = Outline::read(&self.part, text)?;
        let missing = || Refusal::damaged(format!("{}: no tabs", self.part));
        let sheets = outline.section("sheets").ok_or_else(missing)?;
        let prefix = sheets.prefix();
        let mut splices = Splices::default();
        let id_name = outline
            .all("sheet")
            .find_map(relationship_id)
            .map_or("r:id", |(name, _)| name);
        let last_id = outline
            .all("sheet")
            .filter_map(|sheet| sheet.attribute("sheetId")?.parse::<u32>().ok())
            .max()
            .unwrap_or(0);
        for ((tab, id), sheet_id) in self.added.iter().zip(ids).zip(last_id.saturating_add(1)..) {
            let name = escape(&tab.name);
            let sheet = format!(
                "<{prefix}sheet name=\"{name}\" sheetId=\"{sheet_id}\" {id_name}=\"{id}\"/>"
            );
            splices.append_to(sheets, &sheet, text);
        }
        self.put_filters(text, &outline, &mut splices);
        // Formulas of other tabs that look at ours are out of date.
        if let Some(calculation) = outline.section("calcPr")
            && calculation.attribute("calcMode") != Some("manual")
            && calculation.attribute("fullCalcOnLoad").is_none()
        {
            let open = text.get(calculation.open.clone()).unwrap_or_default();
            splices.put(
                calculation.open.clone(),
                with_attribute(open, "fullCalcOnLoad", "1"),
            );
        }
        Ok(splices.apply(text))
    }

    fn put_filters(&self, text: &str, outline: &Outline, splices: &mut Splices) {
        let names = outline.section("definedNames");
        let prefix = outline.root().map_or("", Element::prefix);
        let mut added = String::new();
        for (index, range) in &self.filters {
            let range = escape(range);
            let index = index.to_string();
            let existing = outline.all("definedName").find(|name| {
                name.attribute("name") == Some(FILTER)
                    && name.attribute("localSheetId") == Some(&index)
            });
            match existing {
                Some(name) if name.is_empty_tag() => {}
                Some(name) => {
                    if text.get(name.inner.clone()) != Some(range.as_ref()) {
                        splices.put(name.inner.clone(), range);
                    }
                }
                None => added.push_str(&format!(
                    "<{prefix}definedName name=\"{FILTER}\" localSheetId=\"{index}\" hidden=\"1\">\
                     {range}</{prefix}definedName>"
                )),
            }
        }
        if added.is_empty() {
            return;
        }
        match names {
            Some(names) => splices.append_to(names, &added, text),
            None => {
                let before = ["externalReferences", "functionGroups", "sheets"];
                if let Some(last) = before.iter().find_map(|name| outline.section(name)) {
                    let at = last.whole.end;
                    splices.put(
                        at..at,
                        format!("<{prefix}definedNames>{added}</{prefix}definedNames>"),
                    );
                }
            }
        }
    }
}

fn main_part(package: &Package<'_>) -> Result<String, Refusal> {
    let outline = Outline::read(PACKAGE_RELATIONSHIPS, package.text(PACKAGE_RELATIONSHIPS)?)?;
    let main = outline.all("Relationship").find(|link| {
        link.attribute("Type")
            .is_some_and(|kind| kind.ends_with("/officeDocument"))
    });
    let main = main.ok_or_else(|| Refusal::damaged("the package has no document"))?;
    if main
        .attribute("Type")
        .is_some_and(|kind| kind.starts_with(STRICT))
    {
        return Err(Refusal::Strict);
    }
    Ok(resolve("", main.attribute("Target").unwrap_or_default()))
}

fn check_kind(package: &Package<'_>, part: &str) -> Result<(), Refusal> {
    let outline = Outline::read(CONTENT_TYPES, package.text(CONTENT_TYPES)?)?;
    let named = outline.all("Override").find(|entry| {
        entry
            .attribute("PartName")
            .is_some_and(|name| name.trim_start_matches('/').eq_ignore_ascii_case(part))
    });
    let by_ending = || {
        outline.all("Default").find(|entry| {
            entry.attribute("Extension").is_some_and(|ending| {
                part.rsplit_once('.')
                    .is_some_and(|(_, own)| own.eq_ignore_ascii_case(ending))
            })
        })
    };
    match named
        .or_else(by_ending)
        .and_then(|entry| entry.attribute("ContentType"))
    {
        Some(PLAIN_WORKBOOK) => Ok(()),
        other => Err(Refusal::OtherKind {
            kind: other.unwrap_or("of no known type").to_owned(),
        }),
    }
}

/// The attribute that ties a tab to its part: `id` in a namespace of its own.
fn relationship_id(sheet: &Element) -> Option<(&str, &str)> {
    sheet
        .attributes
        .iter()
        .find(|(name, _)| local(name) == "id" && name.contains(':'))
        .map(|(name, id)| (name.as_str(), id.as_str()))
}
