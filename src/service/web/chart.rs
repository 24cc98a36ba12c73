//! How is a learning curve drawn on a page? As SVG by plotters, on the server; its colours are names that the stylesheet
//! gives other values in the dark. What the points are is not known here.

use super::words::say;
use crate::report::Lang;
use crate::service::curves::{Point, Series};
use plotters::prelude::*;

/// What the curve is drawn over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::Display, strum::EnumString, strum::EnumIter)]
#[strum(serialize_all = "lowercase")]
pub enum Axis {
    /// Optimiser steps.
    Step,
    /// Bytes of text seen: the fair one between tokenizers.
    #[default]
    Bytes,
    /// Seconds.
    Time,
}

const SIZE: (u32, u32) = (760, 340);
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
/// Noise of single steps is smoothed over so many.
const SMOOTH: usize = 9;

/// The curves with their legend, as elements; empty where there is nothing to draw.
pub fn drawing(series: &[(String, Series)], axis: Axis, lang: Lang) -> String {
    let drawn = curves(series, axis, lang);
    if drawn.is_empty() {
        return drawn;
    }
    let names = branches(series);
    let legend = maud::html! {
        ul.legend { @for (i, name) in names.iter().enumerate() {
            li { span class={ "swatch c" (i % COLOURS.len() + 1) } {} (name) }
        } }
        @if series.iter().any(|(_, s)| s.held_out) {
            p.note { "● " (say(lang, "curve-held-out")) }
        }
    };
    drawn + &legend.into_string()
}

/// Branches in the order they came.
fn branches(series: &[(String, Series)]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in series {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

fn curves(series: &[(String, Series)], axis: Axis, lang: Lang) -> String {
    let mut out = String::new();
    if series.iter().all(|(_, s)| s.points.is_empty()) {
        return out;
    }
    // Drawing into memory fails only where there is nothing to draw.
    if draw(&mut out, series, axis, lang).is_err() {
        out.clear();
    }
    // The library writes a size in pixels; the box alone lets the page decide.
    out.replacen(&format!("width=\"{}\" height=\"{}\" ", SIZE.0, SIZE.1), "", 1)
}

fn across(point: &Point, axis: Axis) -> f64 {
    match axis {
        Axis::Step => point.step as f64,
        Axis::Bytes => point.bytes as f64,
        Axis::Time => point.seconds,
    }
}

/// The mean of each point and those before it.
fn smooth(points: &[Point]) -> Vec<f64> {
    let window = |i: usize| points.get(i.saturating_sub(SMOOTH - 1)..=i).unwrap_or_default();
    let mean = |of: &[Point]| of.iter().map(|p| p.bits_per_byte).sum::<f64>() / of.len().max(1) as f64;
    (0..points.len()).map(|i| mean(window(i))).collect()
}

fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

fn written(value: f64, axis: Axis, lang: Lang) -> String {
    let text = match axis {
        Axis::Step => format!("{value:.0}"),
        Axis::Bytes if value >= 1e9 => format!("{:.1} GB", value / 1e9),
        Axis::Bytes if value >= 1e6 => format!("{:.1} MB", value / 1e6),
        Axis::Bytes => format!("{:.0} kB", value / 1e3),
        Axis::Time if value >= 7_200.0 => format!("{:.1} h", value / 3600.0),
        Axis::Time if value >= 120.0 => format!("{:.0} min", value / 60.0),
        Axis::Time => format!("{value:.0} s"),
    };
    if lang == Lang::Tr { text.replace('.', ",") } else { text }
}

fn draw(
    out: &mut String,
    series: &[(String, Series)],
    axis: Axis,
    lang: Lang,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let smoothed: Vec<Vec<(f64, f64)>> = series
        .iter()
        .map(|(_, s)| {
            let heights =
                if s.held_out { s.points.iter().map(|p| p.bits_per_byte).collect() } else { smooth(&s.points) };
            s.points.iter().map(|p| across(p, axis)).zip(heights).collect()
        })
        .collect();
    let all = || smoothed.iter().flatten();
    let (low_x, high_x) = ends(all().map(|p| p.0));
    let (low_y, high_y) = ends(all().map(|p| p.1));
    let margin = ((high_y - low_y) * 0.06).max(1e-2);
    let area = SVGBackend::with_string(out, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .margin_right(24)
        .x_label_area_size(58)
        .y_label_area_size(72)
        .build_cartesian_2d(low_x..high_x.max(low_x + 1e-6), (low_y - margin)..(high_y + margin))?;
    let across_name = match axis {
        Axis::Step => say(lang, "axis-step"),
        Axis::Bytes => say(lang, "axis-bytes"),
        Axis::Time => say(lang, "axis-time"),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE.mix(0.0))
        .bold_line_style(LINE)
        .axis_style(SOFT)
        .label_style(("sans-serif", 18).into_font().color(&SOFT))
        .x_desc(across_name)
        .y_desc(say(lang, "axis-y"))
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|x| written(*x, axis, lang))
        .y_label_formatter(&|y| super::number(Some(*y), 2, lang))
        .draw()?;
    // A branch keeps its colour, whether it is its training or its held-out text.
    let names = branches(series);
    for ((name, s), points) in series.iter().zip(&smoothed) {
        let place = names.iter().position(|b| b == name).unwrap_or(0);
        let colour = COLOURS.get(place % COLOURS.len()).copied().unwrap_or(SOFT);
        let width = if s.held_out { 1 } else { 2 };
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(width)))?;
        if s.held_out {
            chart.draw_series(points.iter().map(|p| Circle::new(*p, 4, colour.filled())))?;
        }
    }
    drop(chart);
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::IntoEnumIterator;

    #[test]
    fn a_curve_is_drawn_over_every_axis_and_nothing_of_it_is_inline_style() {
        let points: Vec<Point> = (1..50)
            .map(|i| Point { step: i, bytes: i * 100, seconds: i as f64, bits_per_byte: 50.0 / i as f64 })
            .collect();
        let series = |held_out| Series { branch: "<b>".into(), held_out, points: points.clone() };
        for axis in Axis::iter() {
            let drawn = drawing(&[("<b>".into(), series(false)), ("<b>".into(), series(true))], axis, Lang::Tr);
            assert!(drawn.contains("<svg") && drawn.contains("<polyline"), "{axis}");
            assert!(!drawn.contains("<b>") && !drawn.contains("style=") && !drawn.contains("NaN"), "{axis}");
        }
        assert_eq!(drawing(&[], Axis::Step, Lang::En), "");
    }
}
