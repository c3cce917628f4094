//! Grafting into workbooks of other programs.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};

use proptest::prelude::*;
use rust_xlsxwriter::{
    Chart, ChartType, ConditionalFormatIconSet, ConditionalFormatIconType, DataValidation, Formula,
    Note, Sparkline, Table as TableObject, Workbook as NewWorkbook,
};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use super::super::fresh;
use super::super::table::{CONFIG, INFO};
use super::*;
use crate::render::sample;
use crate::results::{self, ResultRecord};

mod rewrites;

fn example(path: &str) -> Vec<u8> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/examples/");
    std::fs::read(format!("{root}{path}")).unwrap()
}

fn tables(records: &[ResultRecord<'_>]) -> [Table; 2] {
    [Table::info(records), Table::config(records)]
}

fn of_site<'a>(json: &'a str, site: &str) -> Vec<ResultRecord<'a>> {
    results::parse(json)
        .unwrap()
        .into_iter()
        .filter(|record| record.site == site)
        .collect()
}

/// Every part, unpacked.
fn parts(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            (file.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

fn pack(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn with_part(bytes: &[u8], name: &str, edit: impl Fn(&str) -> String) -> Vec<u8> {
    let mut all = parts(bytes);
    let part = all.entry(name.to_owned()).or_default();
    *part = edit(std::str::from_utf8(part).unwrap()).into_bytes();
    let list: Vec<(&str, &[u8])> = all
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    pack(&list)
}

/// The cells of a tab as shown, row by row.
fn cells(bytes: &[u8], name: &str) -> Vec<Vec<String>> {
    let package = Package::open(bytes).unwrap();
    let workbook = Workbook::read(&package).unwrap();
    let strings = SharedStrings::read(&package, workbook.shared_strings_part()).unwrap();
    let tab = workbook.tab(name).unwrap();
    let sheet = ExistingSheet::read(package.text(&tab.part).unwrap()).unwrap();
    sheet
        .rows
        .iter()
        .map(|row| {
            let width = row
                .cells
                .iter()
                .map(|cell| cell.column + 1)
                .max()
                .unwrap_or(0);
            let mut shown = vec![String::new(); usize::try_from(width).unwrap()];
            for cell in &row.cells {
                shown[usize::try_from(cell.column).unwrap()] = cell.shown(&strings).to_owned();
            }
            shown
        })
        .collect()
}

/// Which parts of the old file changed, are gone, or came.
fn changed(old: &[u8], new: &[u8]) -> Vec<String> {
    let (old, new) = (parts(old), parts(new));
    let mut names: Vec<String> = old.keys().chain(new.keys()).cloned().collect();
    names.sort();
    names.dedup();
    names.retain(|name| old.get(name) != new.get(name));
    names
}

#[test]
fn a_new_workbook_holds_pytvts_cells() {
    let json = String::from_utf8(example("xlsx/run1.json")).unwrap();
    let dump: serde_json::Value = serde_json::from_slice(&example("xlsx/run1.dump.json")).unwrap();
    let sites = [
        ("Depot Süd", "Depot Süd.xlsx"),
        ("HQ / Tower 1", "HQ _ Tower 1.xlsx"),
        ("Kirkwall #2 (North)", "Kirkwall #2 (North).xlsx"),
        ("", "Unknown Site.xlsx"),
    ];
    for (site, file) in sites {
        let mut new = Cursor::new(Vec::new());
        fresh::write(&tables(&of_site(&json, site)), &mut new).unwrap();
        let new = new.into_inner();
        for (tab, width) in [(INFO, 10), (CONFIG, 6)] {
            let theirs = dump[file]["data"][tab]["cells"].as_object().unwrap();
            let mut rows = cells(&new, tab).into_iter().map(|mut row| {
                row.resize(width, String::new());
                row
            });
            for number in 1.. {
                let columns = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"];
                let row = columns.iter().take(width).map(|column| {
                    match theirs
                        .get(&format!("{column}{number}"))
                        .map(|cell| &cell["value"])
                    {
                        None | Some(serde_json::Value::Null) => String::new(),
                        Some(serde_json::Value::String(text)) => text.clone(),
                        Some(value) => value.to_string(),
                    }
                });
                let row: Vec<String> = row.collect();
                if row.iter().all(String::is_empty) {
                    assert!(number > 1, "{file} {tab}");
                    break;
                }
                // Channels without address come in between.
                assert!(rows.any(|ours| ours == row), "{file} {tab} {row:?}");
            }
        }
    }
}

#[test]
fn a_workbook_of_pytvt_keeps_what_the_user_added() {
    let old = example("xlsx/edited/Depot Süd.xlsx");
    let json = String::from_utf8(example("xlsx/run1.json")).unwrap();
    let mut records = of_site(&json, "Depot Süd");
    let renamed = records
        .iter_mut()
        .flat_map(|record| &mut record.cameras)
        .next()
        .unwrap();
    renamed.name = "Einfahrt umbenannt".into();
    let before = cells(&old, CONFIG);
    let remark = before[0]
        .iter()
        .position(|header| header == "My remark")
        .unwrap();
    let first = graft(&old, &tables(&records)).unwrap();
    assert_eq!(
        changed(&old, &first.bytes),
        [
            "xl/styles.xml",
            "xl/workbook.xml",
            "xl/worksheets/sheet2.xml",
            "xl/worksheets/sheet3.xml"
        ]
    );
    let after = cells(&first.bytes, CONFIG);
    assert_eq!(
        after[0],
        [
            "Camera Name",
            "Address",
            "Port",
            "Status",
            "Protocol",
            "Model",
            "My remark",
            "NVR",
            "NVR IP",
            "Channel",
            "Status Source"
        ]
    );
    assert_eq!(after[1][0], "Einfahrt umbenannt");
    for row in before.iter().skip(1).filter(|row| row.len() > remark) {
        let same = after.iter().find(|new| new[1] == row[1]).unwrap();
        assert_eq!(same[remark], row[remark], "{row:?}");
    }
    assert!(
        before
            .iter()
            .skip(1)
            .any(|row| row.get(remark).is_some_and(|cell| !cell.is_empty()))
    );
    let sheet = String::from_utf8(parts(&first.bytes)["xl/worksheets/sheet3.xml"].clone()).unwrap();
    assert!(
        sheet.contains("state=\"frozen\"") && sheet.contains("<autoFilter ref=\"A1:K"),
        "{sheet}"
    );
    // Once more with the same data: the same file.
    let second = graft(&first.bytes, &tables(&records)).unwrap();
    assert_eq!(second.bytes, first.bytes);
    // With other data only the tabs and their filters' ranges change.
    records.pop();
    let third = graft(&first.bytes, &tables(&records)).unwrap();
    assert_eq!(
        changed(&first.bytes, &third.bytes),
        [
            "xl/workbook.xml",
            "xl/worksheets/sheet2.xml",
            "xl/worksheets/sheet3.xml"
        ]
    );
}

/// A workbook with about everything that rust_xlsxwriter can put in one.
fn rich_workbook() -> Vec<u8> {
    let mut workbook = NewWorkbook::new();
    let sheet = workbook.add_worksheet().set_name("Überblick").unwrap();
    for (row, value) in (0_u32..).zip([3.0, 1.0, 2.0]) {
        sheet.write_number(row, 0, value).unwrap();
    }
    sheet.write_formula(0, 1, "=SUM(A1:A3)").unwrap();
    sheet.write_array_formula(1, 1, 3, 1, "{=A1:A3*2}").unwrap();
    sheet
        .write_dynamic_array_formula(0, 3, 0, 3, "=SORT(A1:A3)")
        .unwrap();
    sheet.insert_note(0, 0, &Note::new("Notiz")).unwrap();
    sheet
        .add_sparkline(5, 0, &Sparkline::new().set_range(("Überblick", 0, 0, 2, 0)))
        .unwrap();
    let icons = ConditionalFormatIconSet::new()
        .set_icon_type(ConditionalFormatIconType::ThreeTrafficLights);
    sheet.add_conditional_format(0, 0, 2, 0, &icons).unwrap();
    let list = DataValidation::new()
        .allow_list_strings(&["a", "b"])
        .unwrap();
    sheet.add_data_validation(6, 0, 6, 0, &list).unwrap();
    let mut chart = Chart::new(ChartType::Column);
    chart.add_series().set_values(("Überblick", 0, 0, 2, 0));
    sheet.insert_chart(8, 0, &chart).unwrap();
    let other = workbook.add_worksheet().set_name("List & more").unwrap();
    other.write_string(0, 0, "shared text").unwrap();
    other.add_table(2, 0, 5, 1, &TableObject::new()).unwrap();
    other
        .write_formula(0, 5, Formula::new("='Überblick'!A1"))
        .unwrap();
    workbook.define_name("Total", "='Überblick'!$B$1").unwrap();
    workbook.save_to_buffer().unwrap()
}

#[test]
fn a_rich_workbook_gets_two_tabs_and_keeps_everything_else() {
    let old = rich_workbook();
    let rows = sample::rows();
    let records: Vec<ResultRecord<'_>> = rows.iter().map(ResultRecord::from).collect();
    let first = graft(&old, &tables(&records)).unwrap();
    assert_eq!(
        changed(&old, &first.bytes),
        [
            "[Content_Types].xml",
            "xl/_rels/workbook.xml.rels",
            "xl/styles.xml",
            "xl/workbook.xml",
            "xl/worksheets/sheet3.xml",
            "xl/worksheets/sheet4.xml"
        ]
    );
    let info = cells(&first.bytes, INFO);
    assert_eq!(info.len(), 6);
    assert_eq!(info[3][9], "Connection refused");
    let config = cells(&first.bytes, CONFIG);
    assert_eq!(config.len(), 5);
    assert_eq!(config[2][0], "=1+1");
    assert_eq!(config[3][..6], ["Channel 1", "", "", "Online", "", ""]);
    let sheet = String::from_utf8(parts(&first.bytes)["xl/worksheets/sheet4.xml"].clone()).unwrap();
    assert!(!sheet.contains("<f>"), "{sheet}");
    let second = graft(&first.bytes, &tables(&records)).unwrap();
    assert_eq!(second.bytes, first.bytes);
}

#[test]
fn rows_of_a_device_that_failed_stay() {
    let rows = sample::rows();
    let good: Vec<ResultRecord<'_>> = rows.iter().map(ResultRecord::from).collect();
    let first = graft(&rich_workbook(), &tables(&good)).unwrap();
    let mut partly = good.clone();
    partly[0].success = false;
    partly[0].cameras.clear();
    let second = graft(&first.bytes, &tables(&partly)).unwrap();
    assert_eq!(second.kept_rows, None);
    let names = |bytes: &[u8]| -> Vec<String> {
        let mut names: Vec<String> = cells(bytes, CONFIG)
            .into_iter()
            .skip(1)
            .map(|row| row[0].clone())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&second.bytes), names(&first.bytes));
    for record in &mut partly {
        record.success = false;
        record.cameras.clear();
    }
    let third = graft(&second.bytes, &tables(&partly)).unwrap();
    assert_eq!(third.kept_rows, Some(4));
    assert_eq!(names(&third.bytes), names(&first.bytes));
    assert!(
        cells(&third.bytes, CONFIG)
            .iter()
            .skip(1)
            .all(|row| row[9] == "earlier run")
    );
    let again = graft(&third.bytes, &tables(&good)).unwrap();
    assert_eq!(cells(&again.bytes, CONFIG), cells(&first.bytes, CONFIG));
    // A device that left the inventory takes its rows with it.
    let fourth = graft(&third.bytes, &tables(&partly[1..])).unwrap();
    assert_eq!(fourth.kept_rows, Some(2));
}

#[test]
fn rows_of_pytvt_stay_until_every_device_was_read() {
    let old = example("xlsx/edited/Depot Süd.xlsx");
    let json = String::from_utf8(example("xlsx/run2.json")).unwrap();
    let mut records = of_site(&json, "Depot Süd");
    assert!(records.iter().any(|record| !record.success));
    let first = graft(&old, &tables(&records)).unwrap();
    let shown = cells(&first.bytes, CONFIG);
    for row in cells(&old, CONFIG) {
        assert!(shown.iter().any(|new| new[1] == row[1]), "{row:?}");
    }
    let second = graft(&first.bytes, &tables(&records)).unwrap();
    assert_eq!(second.bytes, first.bytes);
    records.retain(|record| record.success);
    let third = graft(&second.bytes, &tables(&records)).unwrap();
    let channels: usize = records.iter().map(|record| record.cameras.len()).sum();
    assert_eq!(cells(&third.bytes, CONFIG).len(), channels + 1);
}

#[test]
fn a_tab_of_the_users_is_not_taken() {
    let mut workbook = NewWorkbook::new();
    let sheet = workbook.add_worksheet().set_name("nvr config").unwrap();
    sheet.write_string(0, 0, "Mine").unwrap();
    let sheet = workbook.add_worksheet().set_name("NVR Info").unwrap();
    sheet.add_table(0, 0, 3, 1, &TableObject::new()).unwrap();
    let old = workbook.save_to_buffer().unwrap();
    let rows = sample::rows();
    let records: Vec<ResultRecord<'_>> = rows.iter().map(ResultRecord::from).collect();
    let first = graft(&old, &tables(&records)).unwrap();
    assert_eq!(cells(&first.bytes, "NVR CONFIG")[0], ["Mine"]);
    assert_eq!(cells(&first.bytes, "NVR Config (2)").len(), 5);
    assert_eq!(cells(&first.bytes, "NVR Info (2)").len(), 6);
    assert_eq!(
        graft(&first.bytes, &tables(&records)).unwrap().bytes,
        first.bytes
    );
}

#[test]
fn formulas_of_the_users_column_stay_with_their_row_or_become_values() {
    let rows = sample::rows();
    let records: Vec<ResultRecord<'_>> = rows.iter().map(ResultRecord::from).collect();
    let first = graft(&rich_workbook(), &tables(&records)).unwrap();
    let part = "xl/worksheets/sheet4.xml";
    let cell = |row: u32| {
        format!(
            "<c r=\"L{row}\"><f>LEN(A{row})</f><v>{row}</v></c></row><row r=\"{}\">",
            row + 1
        )
    };
    let edited = with_part(&first.bytes, part, |text| {
        text.replacen("</row><row r=\"3\">", &cell(2), 1).replacen(
            "</row><row r=\"4\">",
            &cell(3),
            1,
        )
    });
    let mut swapped = records.clone();
    swapped.swap(0, 1);
    for (records, formulas) in [(&records, 2), (&swapped, 0)] {
        let new = graft(&edited, &tables(records)).unwrap();
        let text = String::from_utf8(parts(&new.bytes)[part].clone()).unwrap();
        assert_eq!(text.matches("<f>").count(), formulas, "{text}");
        let shown = cells(&new.bytes, CONFIG);
        let with_value: Vec<&Vec<String>> = shown.iter().filter(|row| row.len() > 11).collect();
        assert_eq!(with_value.len(), 2);
    }
}

#[test]
fn prefixed_names_and_a_calculation_chain_are_understood() {
    let rows = sample::rows();
    let records: Vec<ResultRecord<'_>> = rows.iter().map(ResultRecord::from).collect();
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let workbook = format!(
        "<x:workbook xmlns:x=\"{main}\" xmlns:q=\"{office}\"><x:sheets><x:sheet name=\"NVR Config\" \
         sheetId=\"7\" q:id=\"a\"/></x:sheets><x:calcPr calcId=\"1\"/></x:workbook>"
    );
    let sheet = format!(
        "<x:worksheet xmlns:x=\"{main}\"><x:sheetData><x:row r=\"1\"><x:c r=\"A1\" t=\"str\"><x:v>Camera \
         Name</x:v></x:c><x:c r=\"B1\" t=\"str\"><x:v>Address</x:v></x:c></x:row><x:row r=\"2\"><x:c r=\"A2\">\
         <x:f>1</x:f><x:v>1</x:v></x:c></x:row></x:sheetData></x:worksheet>"
    );
    let styles = format!(
        "<x:styleSheet xmlns:x=\"{main}\"><x:fonts count=\"1\"><x:font/></x:fonts><x:fills count=\"1\"><x:fill/>\
         </x:fills><x:borders count=\"1\"><x:border/></x:borders><x:cellXfs count=\"1\"><x:xf/></x:cellXfs>\
         </x:styleSheet>"
    );
    let links = format!(
        "<Relationships xmlns=\"r\"><Relationship Id=\"a\" Type=\"{office}/worksheet\" Target=\"s/one.xml\"/>\
         <Relationship Id=\"b\" Type=\"{office}/calcChain\" Target=\"/book/calcChain.xml\"/>\
         <Relationship Id=\"c\" Type=\"{office}/styles\" Target=\"styles.xml\"/></Relationships>"
    );
    let types = "<Types xmlns=\"t\"><Default Extension=\"xml\" ContentType=\"application/xml\"/>\
        <Override PartName=\"/book/main.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.\
        spreadsheetml.sheet.main+xml\"/><Override PartName=\"/book/calcChain.xml\" ContentType=\"c\"/></Types>";
    let root = format!(
        "<Relationships xmlns=\"r\"><Relationship Id=\"x\" Type=\"{office}/officeDocument\" \
         Target=\"book/main.xml\"/></Relationships>"
    );
    let old = pack(&[
        ("[Content_Types].xml", types.as_bytes()),
        ("_rels/.rels", root.as_bytes()),
        ("book/main.xml", workbook.as_bytes()),
        ("book/_rels/main.xml.rels", links.as_bytes()),
        ("book/s/one.xml", sheet.as_bytes()),
        ("book/styles.xml", styles.as_bytes()),
        ("book/calcChain.xml", b"<calcChain/>"),
    ]);
    let new = graft(&old, &tables(&records)).unwrap();
    let all = parts(&new.bytes);
    assert!(!all.contains_key("book/calcChain.xml"));
    let text = |part: &str| String::from_utf8(all[part].clone()).unwrap();
    assert!(!text("[Content_Types].xml").contains("calcChain"));
    assert!(!text("book/_rels/main.xml.rels").contains("calcChain"));
    let book = text("book/main.xml");
    assert!(
        book.contains(
            "<x:sheet name=\"NVR Info\" sheetId=\"8\" q:id=\"rId1\"/></x:sheets><x:definedNames>"
        ),
        "{book}"
    );
    assert!(
        book.contains("<x:calcPr calcId=\"1\" fullCalcOnLoad=\"1\"/>"),
        "{book}"
    );
    assert!(
        text("book/s/one.xml")
            .contains("<x:row r=\"2\"><x:c r=\"A2\" s=\"2\" t=\"inlineStr\"><x:is><x:t>Einfahrt")
    );
    assert!(text("book/styles.xml").contains("<x:cellXfs count=\"3\">"));
    assert_eq!(cells(&new.bytes, CONFIG)[0].len(), 10);
    assert_eq!(
        graft(&new.bytes, &tables(&records)).unwrap().bytes,
        new.bytes
    );
}

#[test]
fn files_that_must_not_be_edited_are_refused() {
    let refusal = |bytes: &[u8]| graft(bytes, &tables(&[])).map(drop).unwrap_err();
    let good = rich_workbook();
    assert_eq!(
        refusal(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1 and so on"),
        Refusal::Encrypted
    );
    assert!(matches!(refusal(b"PK\x03\x04"), Refusal::Damaged { .. }));
    assert!(matches!(
        refusal(&good[..good.len() / 2]),
        Refusal::Damaged { .. }
    ));
    let signed = with_part(&good, "_xmlsignatures/sig1.xml", |_| "<a/>".to_owned());
    assert_eq!(refusal(&signed), Refusal::Signed);
    let strict = with_part(&good, "_rels/.rels", |text| {
        text.replace(
            "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument",
            "http://purl.oclc.org/ooxml/officeDocument/relationships/officeDocument",
        )
    });
    assert_eq!(refusal(&strict), Refusal::Strict);
    let macros = with_part(&good, "[Content_Types].xml", |text| {
        text.replace(
            "spreadsheetml.sheet.main+xml",
            "sheet.macroEnabled.main+xml",
        )
    });
    assert!(matches!(refusal(&macros), Refusal::OtherKind { .. }));
    let torn = with_part(&good, "xl/workbook.xml", |text| {
        text.replace("</sheets>", "")
    });
    assert!(matches!(refusal(&torn), Refusal::Damaged { .. }));
}

proptest! {
    #[test]
    fn damaged_files_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let old = example("xlsx/edited/Depot Süd.xlsx");
        let mut flipped = old.clone();
        let at = at.index(flipped.len());
        flipped[at] ^= byte;
        let rows = sample::rows();
        let records: Vec<ResultRecord<'_>> = rows.iter().map(ResultRecord::from).collect();
        let _: Result<Grafted, Refusal> = graft(&flipped, &tables(&records));
        let _: Result<Grafted, Refusal> = graft(&old[..cut.index(old.len())], &tables(&records));
    }

    #[test]
    fn damaged_sheets_never_panic(at in any::<prop::sample::Index>(), text in "[<>/\"'=&a-z0-9 ]{0,6}") {
        let mut sheet = "<worksheet><cols><col max='2'/></cols><sheetData><row r='1'><c r='A1' t='s'><v>1</v></c>\
            <c t='inlineStr'><is><t>Address</t></is></c></row></sheetData><autoFilter ref='A1'/></worksheet>".to_owned();
        let at = at.index(sheet.len());
        sheet.insert_str(at, &text);
        if let Ok(read) = ExistingSheet::read(&sheet) {
            let table = &tables(&[])[1];
            let strings = SharedStrings::default();
            let mut styles = Styles::none();
            let _: Result<Merged, Refusal> = merge::into_existing(table, &read, &strings, &mut styles);
        }
    }
}
