//! A workbook that people work with, rewritten again and again.

use std::path::Path;
use std::process::Command;

use calamine::Reader as _;
use rust_xlsxwriter::{ConditionalFormat3ColorScale, ConditionalFormatDataBar, Image};

use super::*;

/// A picture of one pixel.
#[rustfmt::skip]
const PNG: [u8; 73] = [
    0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 0x0D, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 1,
    0, 0, 0, 1, 8, 6, 0, 0, 0, 0x1F, 0x15, 0xC4, 0x89, 0, 0, 0, 0x10, 0x49, 0x44, 0x41, 0x54, 0x78, 1,
    1, 5, 0, 0xFA, 0xFF, 0, 0xC8, 0x50, 0x50, 0xFF, 5, 0xB4, 2, 0x68, 0xDD, 0x1E, 0x30, 0x1D, 0, 0, 0,
    0, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82,
];

/// What the rich workbook has, and a picture, more conditional formats, and parts that no library
/// writes: custom XML with its properties.
fn everything() -> Vec<u8> {
    let mut workbook = NewWorkbook::new();
    let sheet = workbook.add_worksheet().set_name("Pictures").unwrap();
    sheet
        .insert_image(0, 3, &Image::new_from_buffer(&PNG).unwrap())
        .unwrap();
    sheet.write_number(0, 0, 4).unwrap();
    sheet.write_number(1, 0, 5).unwrap();
    sheet
        .add_conditional_format(0, 0, 1, 0, &ConditionalFormatDataBar::new())
        .unwrap();
    sheet
        .add_conditional_format(0, 1, 1, 1, &ConditionalFormat3ColorScale::new())
        .unwrap();
    let pictures = workbook.save_to_buffer().unwrap();
    let mut bytes = pictures;
    for (part, text) in [
        ("customXml/item1.xml", "<order xmlns=\"urn:x\">4711</order>"),
        (
            "customXml/itemProps1.xml",
            "<ds:datastoreItem ds:itemID=\"{0B5E6F4E-4B1B-4B6A-9C43-5F6F0C0B1A2D}\" \
             xmlns:ds=\"http://schemas.openxmlformats.org/officeDocument/2006/customXml\"/>",
        ),
        (
            "customXml/_rels/item1.xml.rels",
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
             <Relationship Id=\"rId1\" Target=\"itemProps1.xml\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/customXmlProps\"/></Relationships>",
        ),
    ] {
        bytes = with_part(&bytes, part, |_| text.to_owned());
    }
    bytes = with_part(&bytes, "xl/_rels/workbook.xml.rels", |text| {
        text.replace(
            "</Relationships>",
            "<Relationship Id=\"rId99\" Target=\"../customXml/item1.xml\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/customXml\"/></Relationships>",
        )
    });
    with_part(&bytes, "[Content_Types].xml", |text| {
        text.replace(
            "</Types>",
            "<Override PartName=\"/customXml/itemProps1.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.customXmlProperties+xml\"/></Types>",
        )
    })
}

/// The records with other names in every round, and in every third round a device less.
fn round<'a>(records: &[ResultRecord<'a>], number: usize) -> Vec<ResultRecord<'a>> {
    let mut records = records.to_vec();
    for (at, camera) in records
        .iter_mut()
        .flat_map(|record| &mut record.cameras)
        .enumerate()
    {
        camera.name = format!("Camera {at} of round {number}").into();
    }
    if number.is_multiple_of(3) {
        records.pop();
    }
    records
}

/// Rewrites ten times; each part that is not ours stays as it was, and our marks do not add up.
fn survives_ten_rewrites(old: &[u8], ours: &[&str]) -> Vec<u8> {
    let rows = sample::rows();
    let records: Vec<ResultRecord<'_>> = rows.iter().map(ResultRecord::from).collect();
    let original = parts(old);
    let mut bytes = graft(old, &tables(&records)).unwrap().bytes;
    let first = parts(&bytes);
    for number in 1..=10 {
        let data = round(&records, number);
        let next = graft(&bytes, &tables(&data)).unwrap().bytes;
        assert_eq!(graft(&next, &tables(&data)).unwrap().bytes, next, "again");
        let now = parts(&next);
        assert_eq!(
            now.keys().collect::<Vec<_>>(),
            first.keys().collect::<Vec<_>>(),
            "round {number}"
        );
        for (name, part) in &original {
            let may_change = [
                "[Content_Types].xml",
                "xl/workbook.xml",
                "xl/_rels/workbook.xml.rels",
                "xl/styles.xml",
            ];
            if !may_change.contains(&name.as_str()) {
                assert_eq!(now.get(name), Some(part), "round {number}: {name}");
            }
        }
        // What was appended the first time is enough for every other time.
        for name in [
            "[Content_Types].xml",
            "xl/_rels/workbook.xml.rels",
            "xl/styles.xml",
        ] {
            assert_eq!(now[name], first[name], "round {number}: {name}");
        }
        for name in ours {
            assert!(
                !original.contains_key(*name) && now.contains_key(*name),
                "{name}"
            );
        }
        let config = cells(&next, CONFIG);
        assert_eq!(config[1][0], format!("Camera 0 of round {number}"));
        bytes = next;
    }
    bytes
}

#[test]
fn a_workbook_with_everything_survives_ten_rewrites() {
    let ours = ["xl/worksheets/sheet3.xml", "xl/worksheets/sheet4.xml"];
    let rich = survives_ten_rewrites(&rich_workbook(), &ours);
    let text = |bytes: &[u8], part: &str| String::from_utf8(parts(bytes)[part].clone()).unwrap();
    assert!(text(&rich, "xl/worksheets/sheet1.xml").contains("t=\"array\""));
    assert!(text(&rich, "xl/workbook.xml").contains("name=\"Total\""));
    let ours = ["xl/worksheets/sheet2.xml", "xl/worksheets/sheet3.xml"];
    let everything = survives_ten_rewrites(&everything(), &ours);
    assert!(text(&everything, "xl/_rels/workbook.xml.rels").contains("customXml"));
    for (bytes, sheet, expected) in [(&rich, "Überblick", "3"), (&everything, "Pictures", "4")] {
        let mut read = calamine::Xlsx::new(Cursor::new(bytes)).unwrap();
        let range = read.worksheet_range(sheet).unwrap();
        assert_eq!(range.get_value((0, 0)).unwrap().to_string(), expected);
    }
    // The array formula still is one: an ordinary one would give other numbers.
    opens_in_libreoffice(&rich, "\n1,6,,\n2,2,,\n,4,,\n");
    opens_in_libreoffice(&everything, "4\n5");
}

/// Lets LibreOffice open the workbook and write its first tab as CSV.
fn opens_in_libreoffice(workbook: &[u8], expected: &str) {
    let Some(program) = ["/usr/bin/soffice", "/usr/local/bin/soffice"]
        .into_iter()
        .find(|path| Path::new(path).exists())
    else {
        eprintln!("LibreOffice is not installed, so nothing opened the workbook in it");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("book.xlsx"), workbook).unwrap();
    let profile = format!(
        "-env:UserInstallation=file://{}/profile",
        folder.path().display()
    );
    let ended = Command::new(program)
        .args([&profile, "--headless", "--convert-to", "csv", "book.xlsx"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{said}");
    let csv = std::fs::read_to_string(folder.path().join("book.csv")).unwrap_or_default();
    assert!(csv.contains(expected), "{csv:?}: {said}");
}
