//! How is a chart drawn? As SVG that stands in the page itself, with text that can be read and searched. What is
//! drawn is decided in `content`. plotters draws: the most used and best kept drawing crate of Rust, without JavaScript
//! and without anything loaded from elsewhere.

use super::numbers::exact;
use super::page::{Across, Bar, Chart, Region, Series, Span, Up};
use crate::domain::language::Lang;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const WIDTH: u32 = 720;
const ROW: i32 = 28;
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(31, 41, 55);
const SOFT: RGBColor = RGBColor(107, 114, 128);
const LINE: RGBColor = RGBColor(209, 213, 219);
/// Told apart also by people who do not see red and green apart.
const COLOURS: [RGBColor; 5] = [
    RGBColor(37, 99, 168),
    RGBColor(194, 93, 12),
    RGBColor(20, 120, 100),
    RGBColor(124, 58, 150),
    RGBColor(80, 80, 80),
];

/// Colours that curves are told apart by.
pub const COLOUR_COUNT: usize = COLOURS.len();

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// The chart as an `svg` element; nothing where it holds nothing that can be drawn.
pub(super) fn svg(chart: &Chart, lang: Lang) -> String {
    let mut out = String::new();
    let drawn = match chart {
        Chart::Curves { axis, series, .. } => curves(&mut out, axis, series, lang),
        Chart::Bars { full, bars, .. } => rows(&mut out, bars.len(), |area| draw_bars(area, *full, bars)),
        Chart::Intervals { axis, spans, .. } => {
            rows(&mut out, spans.len() + 2, |area| draw_spans(area, axis, spans, lang))
        }
        Chart::Position { across, up, cells, here, .. } => {
            rows(&mut out, up.bands.len() * 2 + 2, |area| draw_position(area, across, up, cells, here, lang))
        }
    };
    // Drawing into memory fails only where there is nothing to draw; the numbers stand beside the chart anyway.
    if drawn.is_ok() { out } else { String::new() }
}

/// What a chart shows, in words.
pub(super) fn title(chart: &Chart) -> &str {
    match chart {
        Chart::Curves { title, .. }
        | Chart::Bars { title, .. }
        | Chart::Intervals { title, .. }
        | Chart::Position { title, .. } => title,
    }
}

fn rows(out: &mut String, count: usize, draw: impl Fn(&Area<'_>) -> Drawn) -> Drawn {
    let height = u32::try_from(count)?.saturating_mul(ROW.unsigned_abs()).saturating_add(8);
    let area = SVGBackend::with_string(out, (WIDTH, height)).into_drawing_area();
    draw(&area)?;
    area.present()?;
    Ok(())
}

fn text(size: i32, colour: RGBColor, h: HPos) -> TextStyle<'static> {
    TextStyle { font: (FONT, size).into_font(), color: colour.to_backend_color(), pos: Pos::new(h, VPos::Center) }
}

fn wide() -> i32 {
    i32::try_from(WIDTH).unwrap_or(i32::MAX)
}

fn draw_bars(area: &Area<'_>, full: f64, bars: &[Bar]) -> Drawn {
    let (from, room) = (280, f64::from(wide() - 280 - 80));
    for (i, bar) in (0..).zip(bars) {
        let middle = 4 + i * ROW + ROW / 2;
        let part = if full > 0.0 && bar.value.is_finite() { (bar.value / full).clamp(0.0, 1.0) } else { 0.0 };
        let end = from + (part * room).round() as i32;
        area.draw(&Text::new(bar.label.clone(), (from - 8, middle), text(17, INK, HPos::Right)))?;
        let [first, ..] = COLOURS;
        area.draw(&Rectangle::new([(from, middle - 8), (end.max(from + 1), middle + 8)], first.filled()))?;
        area.draw(&Text::new(bar.text.clone(), (end + 6, middle), text(17, INK, HPos::Left)))?;
    }
    Ok(())
}

fn draw_spans(area: &Area<'_>, axis: &str, spans: &[Span], lang: Lang) -> Drawn {
    let finite = || spans.iter().flat_map(|s| [s.low, s.at, s.high]).filter(|v| v.is_finite());
    let (low, high) = (finite().fold(0.0, f64::min), finite().fold(0.0, f64::max));
    let margin = ((high - low) * 0.08).max(1e-3);
    let (low, high) = (low - margin, high + margin);
    let (from, room) = (150, f64::from(wide() - 150 - 40));
    let place = |v: f64| from + ((v - low) / (high - low) * room).round() as i32;
    let bottom = 4 + i32::try_from(spans.len())? * ROW;
    for tick in ticks(low, high) {
        let colour = if tick == 0.0 { SOFT } else { LINE };
        area.draw(&PathElement::new([(place(tick), 4), (place(tick), bottom + 4)], colour.stroke_width(1)))?;
        area.draw(&Text::new(exact(tick, lang), (place(tick), bottom + 15), text(16, SOFT, HPos::Center)))?;
    }
    for (i, span) in (0..).zip(spans) {
        let middle = 4 + i * ROW + ROW / 2;
        let [first, second, ..] = COLOURS;
        let colour = if span.chosen { second } else { first };
        area.draw(&Text::new(span.label.clone(), (from - 8, middle), text(17, INK, HPos::Right)))?;
        if span.low.is_finite() && span.high.is_finite() && span.high > span.low {
            area.draw(&PathElement::new(
                [(place(span.low), middle), (place(span.high), middle)],
                colour.stroke_width(3),
            ))?;
        }
        if span.at.is_finite() {
            area.draw(&Circle::new((place(span.at), middle), 5, colour.filled()))?;
        }
    }
    area.draw(&Text::new(
        axis.to_string(),
        (place(low) + (room / 2.0) as i32, bottom + 38),
        text(16, SOFT, HPos::Center),
    ))?;
    Ok(())
}

/// Round numbers between two ends, zero among them where it lies between.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= rough).unwrap_or(rough);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    // One multiplication a tick, rounded, so that no tick reads 0.30000000000000004.
    (first..=last).map(|i| (i as f64 * step * 1e9).round() / 1e9).collect()
}

fn draw_position(area: &Area<'_>, across: &Across, up: &Up, cells: &[Region], here: &str, lang: Lang) -> Drawn {
    let bands = i32::try_from(up.bands.len())?.max(1);
    let (left, top, row) = (150, 8, 2 * ROW);
    let (right, bottom) = (wide() - 40, top + bands * row);
    let (low, high) = ends(across.edges.iter().copied());
    let share = |v: f64| ((v - low) / (high - low)).clamp(0.0, 1.0);
    let x = |v: f64| left + (share(v) * f64::from(right - left)).round() as i32;
    let y = |band: usize| bottom - i32::try_from(band).unwrap_or(0) * row;
    let [first, second, ..] = COLOURS;
    for cell in cells {
        let corners = [(x(cell.from), y(cell.bands.end)), (x(cell.to), y(cell.bands.start))];
        area.draw(&Rectangle::new(corners, first.mix(0.12).filled()))?;
        let middle = ((corners[0].0 + corners[1].0) / 2, (corners[0].1 + corners[1].1) / 2);
        area.draw(&Text::new(cell.label.clone(), middle, text(17, INK, HPos::Center)))?;
    }
    for edge in &across.edges {
        area.draw(&PathElement::new([(x(*edge), top), (x(*edge), bottom)], LINE.stroke_width(1)))?;
        area.draw(&Text::new(exact(*edge, lang), (x(*edge), bottom + 14), text(16, SOFT, HPos::Center)))?;
    }
    for (band, name) in up.bands.iter().enumerate() {
        area.draw(&PathElement::new([(left, y(band)), (right, y(band))], LINE.stroke_width(1)))?;
        area.draw(&Text::new(name.clone(), (left - 8, y(band) - row / 2), text(17, INK, HPos::Right)))?;
    }
    area.draw(&PathElement::new([(left, top), (right, top)], LINE.stroke_width(1)))?;
    let point = (x(across.at), y(up.at) - row / 2 + row / 4);
    area.draw(&Circle::new(point, 6, second.filled()))?;
    let beside = if share(across.at) < 0.75 { (10, HPos::Left) } else { (-10, HPos::Right) };
    area.draw(&Text::new(here.to_string(), (point.0 + beside.0, point.1), text(17, second, beside.1)))?;
    let label = format!("{} ↔, {} ↕", across.name, up.name);
    area.draw(&Text::new(label, ((left + right) / 2, bottom + 38), text(16, SOFT, HPos::Center)))?;
    Ok(())
}

fn curves(out: &mut String, axis: &str, series: &[Series], lang: Lang) -> Drawn {
    let line = |(colour, line): (usize, &Series)| Line {
        points: line.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect(),
        colour,
        width: 2,
        dots: Some(3),
        label: Some(line.name.clone()),
    };
    let chart = CurveChart {
        size: (WIDTH, 320),
        margins: (10, 30),
        label_areas: (54, 60),
        font: 16,
        least: (1.0, 1e-3),
        x: (axis, &|x| super::numbers::bytes(x.max(0.0) as u64, lang)),
        y: (None, &|y| exact((y * 1e4).round() / 1e4, lang)),
        lines: series.iter().enumerate().map(line).collect(),
    };
    draw_curves(out, &chart)
}

/// A line of a [`CurveChart`].
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// From left to right; all of them finite.
    pub points: Vec<(f64, f64)>,
    /// Which of the [`COLOUR_COUNT`] colours; beyond them they begin anew.
    pub colour: usize,
    /// Pixels.
    pub width: u32,
    /// Radius of a dot at every point, pixels; `None`: no dots.
    pub dots: Option<i32>,
    /// Its name in the legend; `None`: it has no place there.
    pub label: Option<String>,
}

/// Curves over one axis. Sizes are in pixels.
pub struct CurveChart<'a> {
    /// Width and height.
    pub size: (u32, u32),
    /// All around, and to the right.
    pub margins: (i32, i32),
    /// Room for labels below, and to the left.
    pub label_areas: (i32, i32),
    /// Size of the labels' letters.
    pub font: i32,
    /// Width of the x axis at least, and room above and below the curves at least.
    pub least: (f64, f64),
    /// What the x axis shows, and how a number on it reads.
    pub x: (&'a str, &'a dyn Fn(f64) -> String),
    /// The same of the y axis.
    pub y: (Option<&'a str>, &'a dyn Fn(f64) -> String),
    /// The curves.
    pub lines: Vec<Line>,
}

/// The curves as an `svg` element; nothing where there is nothing that can be drawn.
pub fn curve_chart(chart: &CurveChart<'_>) -> String {
    let mut out = String::new();
    if draw_curves(&mut out, chart).is_ok() { out } else { String::new() }
}

fn draw_curves(out: &mut String, chart: &CurveChart<'_>) -> Drawn {
    let CurveChart { size, margins, label_areas, font, least, x: (x_name, x_label), y: (y_name, y_label), lines } =
        chart;
    let all = || lines.iter().flat_map(|line| &line.points);
    let (low_x, high_x) = ends(all().map(|p| p.0));
    let (low_y, high_y) = ends(all().map(|p| p.1));
    let margin = ((high_y - low_y) * 0.06).max(least.1);
    let area = SVGBackend::with_string(out, *size).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(margins.0)
        .margin_right(margins.1)
        .x_label_area_size(label_areas.0)
        .y_label_area_size(label_areas.1)
        .build_cartesian_2d(low_x..high_x.max(low_x + least.0), (low_y - margin)..(high_y + margin))?;
    let (x_label, y_label) = (|x: &f64| x_label(*x), |y: &f64| y_label(*y));
    let mut mesh = chart.configure_mesh();
    mesh.disable_x_mesh()
        .light_line_style(WHITE.mix(0.0))
        .bold_line_style(LINE)
        .axis_style(SOFT)
        .label_style((FONT, *font).into_font().color(&SOFT))
        .x_desc(*x_name)
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&x_label)
        .y_label_formatter(&y_label);
    if let Some(y_name) = y_name {
        mesh.y_desc(*y_name);
    }
    mesh.draw()?;
    for line in lines {
        let colour = COLOURS.get(line.colour % COLOUR_COUNT).copied().unwrap_or(SOFT);
        let drawn = chart.draw_series(LineSeries::new(line.points.iter().copied(), colour.stroke_width(line.width)))?;
        if let Some(label) = &line.label {
            drawn
                .label(label.clone())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        if let Some(radius) = line.dots {
            chart.draw_series(line.points.iter().map(|p| Circle::new(*p, radius, colour.filled())))?;
        }
    }
    if lines.iter().any(|line| line.label.is_some()) {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .label_font((FONT, 17).into_font().color(&INK))
            .background_style(WHITE.mix(0.8))
            .border_style(LINE)
            .draw()?;
    }
    drop(chart);
    area.present()?;
    Ok(())
}

fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: &str, value: f64) -> Bar {
        Bar { label: label.into(), value, text: String::new() }
    }

    #[test]
    fn ticks_are_round_and_hold_zero() {
        assert_eq!(ticks(-0.12, 0.2), vec![-0.1, 0.0, 0.1, 0.2]);
        assert_eq!(ticks(0.0, 1.0), vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
    }

    #[test]
    fn labels_cannot_break_out_of_the_drawing() {
        let chart = Chart::Bars { title: String::new(), full: 1.0, bars: vec![bar("<script>&", 0.5)] };
        let drawn = svg(&chart, Lang::En);
        assert!(drawn.contains("&lt;script&gt;&amp;") && !drawn.contains("<script>"));
    }

    #[test]
    fn numbers_that_are_none_are_left_out_and_the_rest_is_drawn() {
        let points = vec![(0.0, f64::NAN), (1.0, 2.0), (f64::INFINITY, 1.0), (2.0, 1.5)];
        let series = vec![Series { name: "keep".into(), points }];
        let chart = Chart::Curves { title: String::new(), axis: String::new(), series };
        let drawn = svg(&chart, Lang::En);
        assert_eq!(drawn.matches("<circle").count(), 2);
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
        let empty = Chart::Curves { title: String::new(), axis: String::new(), series: Vec::new() };
        assert!(!svg(&empty, Lang::En).contains("NaN"));
    }
}
