//! Charts of a report.

use rust_xlsxwriter::{
    Chart, ChartAxisCrossing, ChartDataLabel, ChartFont, ChartLegendPosition, ChartLine,
    ChartPoint, ChartSolidFill, ChartType, Color,
};

/// Cells of one sheet: its name, first row and column, last row and column.
pub(super) type Cells = (&'static str, u32, u16, u32, u16);

/// The size of titles, in points.
const TITLE: f64 = 13.0;
/// Lines behind the bars.
const GRID: Color = Color::RGB(0x00D9_D9D9);

/// Horizontal bars, the first one at the top.
pub(super) fn bars(title: &str, axis: &str, names: Cells, counts: Cells, colour: Color) -> Chart {
    let mut chart = Chart::new(ChartType::Bar);
    chart
        .add_series()
        .set_name(axis)
        .set_categories(names)
        .set_values(counts)
        .set_format(ChartSolidFill::new().set_color(colour))
        .set_gap(40)
        .set_data_label(ChartDataLabel::new().show_value());
    name(&mut chart, title);
    chart.legend().set_hidden();
    // The first name stands at the top, and the scale stays at the bottom.
    chart
        .y_axis()
        .set_reverse()
        .set_crossing(ChartAxisCrossing::Max);
    chart
        .x_axis()
        .set_name(axis)
        .set_num_format("#,##0")
        .set_min(0)
        .set_major_gridlines_line(ChartLine::new().set_color(GRID));
    chart.set_alt_text(format!("Bar chart: {title}"));
    chart
}

/// A ring of parts.
pub(super) fn ring(title: &str, names: Cells, counts: Cells, colours: &[Color]) -> Chart {
    let points: Vec<ChartPoint> = colours
        .iter()
        .map(|colour| ChartPoint::new().set_format(ChartSolidFill::new().set_color(*colour)))
        .collect();
    let mut chart = Chart::new(ChartType::Doughnut);
    chart
        .add_series()
        .set_name(title)
        .set_categories(names)
        .set_values(counts)
        .set_points(&points);
    name(&mut chart, title);
    chart.set_hole_size(58);
    chart.legend().set_position(ChartLegendPosition::Bottom);
    chart.set_alt_text(format!("Ring chart: {title}"));
    chart
}

fn name(chart: &mut Chart, title: &str) {
    let mut font = ChartFont::new();
    font.set_size(TITLE).set_bold();
    chart.title().set_name(title).set_font(&font);
}
