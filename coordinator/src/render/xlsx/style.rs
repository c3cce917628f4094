//! Colours and cell formats.

use rust_xlsxwriter::{Color, Format, FormatAlign, FormatBorder};

/// White on blue, as in the workbooks of sites.
pub(super) const HEADER_FILL: Color = Color::RGB(0x0044_72C4);
/// Good news.
pub(super) const GREEN: Color = Color::RGB(0x0070_AD47);
/// Bad news.
pub(super) const RED: Color = Color::RGB(0x00C0_504D);
/// No news.
pub(super) const AMBER: Color = Color::RGB(0x00F0_AD4E);
/// Neither.
pub(super) const GREY: Color = Color::RGB(0x007F_7F7F);
/// Lines between rows.
const LINE: Color = Color::RGB(0x00D9_D9D9);

/// The formats of a workbook.
pub(super) struct Styles {
    /// A column's head.
    pub(super) header: Format,
    /// The head of a column of numbers.
    pub(super) header_right: Format,
    /// Text.
    pub(super) text: Format,
    /// Text that would be a formula if somebody typed it.
    pub(super) quoted: Format,
    /// Whole numbers.
    pub(super) count: Format,
    /// Numbers that are names, as ports: no thousands.
    pub(super) number: Format,
    /// Moments, in UTC.
    pub(super) moment: Format,
    /// Shares of one.
    pub(super) share: Format,
    /// The workbook's title.
    pub(super) title: Format,
    /// What stands under a title.
    pub(super) remark: Format,
    /// The head of a part of a page.
    pub(super) section: Format,
    /// A figure's name.
    pub(super) label: Format,
    /// A figure.
    pub(super) figure: Format,
    /// A figure that is a share.
    pub(super) figure_share: Format,
    /// Sums.
    pub(super) total: Format,
    /// Marks of conditional formats.
    pub(super) good: Format,
    pub(super) bad: Format,
    pub(super) waiting: Format,
}

impl Styles {
    pub(super) fn new() -> Self {
        let body = || {
            Format::new()
                .set_border_bottom(FormatBorder::Thin)
                .set_border_bottom_color(LINE)
                .set_align(FormatAlign::VerticalCenter)
        };
        let text = || body().set_align(FormatAlign::Left).set_indent(1);
        let header = || {
            Format::new()
                .set_bold()
                .set_font_color(Color::White)
                .set_background_color(HEADER_FILL)
                .set_align(FormatAlign::VerticalCenter)
                .set_border_bottom(FormatBorder::Thin)
        };
        let figure = || body().set_bold().set_font_size(12);
        let mark = |font: u32, fill: u32| {
            Format::new()
                .set_font_color(Color::RGB(font))
                .set_background_color(Color::RGB(fill))
        };
        Self {
            header: header().set_align(FormatAlign::Left).set_indent(1),
            header_right: header().set_align(FormatAlign::Right),
            text: text(),
            quoted: text().set_quote_prefix(),
            count: body().set_num_format("#,##0"),
            number: body().set_num_format("0").set_align(FormatAlign::Right),
            moment: text().set_num_format("yyyy-mm-dd hh:mm:ss"),
            share: body().set_num_format("0.0%"),
            title: Format::new()
                .set_bold()
                .set_font_size(20)
                .set_font_color(Color::RGB(0x001F_3864)),
            remark: Format::new().set_italic().set_font_color(GREY),
            section: Format::new()
                .set_bold()
                .set_font_size(13)
                .set_font_color(Color::RGB(0x001F_3864))
                .set_border_bottom(FormatBorder::Medium)
                .set_border_bottom_color(HEADER_FILL),
            label: text(),
            figure: figure().set_num_format("#,##0"),
            figure_share: figure().set_num_format("0.0%"),
            total: body().set_bold().set_num_format("#,##0"),
            good: mark(0x0037_5623, 0x00E2_EFDA),
            bad: mark(0x009C_0006, 0x00FF_C7CE),
            waiting: mark(0x007F_6000, 0x00FF_F2CC),
        }
    }
}
