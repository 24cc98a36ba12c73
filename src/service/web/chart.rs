//! Which curves does a page show of a run, and over what? How they are drawn is the report's business; the stylesheet gives
//! their colours other values in the dark. What the points are is not known here.

use super::words::say;
use crate::report::Lang;
use crate::report::charts::{COLOUR_COUNT, CurveChart, Line, curve_chart};
use crate::service::curves::{Point, Series};

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
            li { span class={ "swatch c" (i % COLOUR_COUNT + 1) } {} (name) }
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
    if series.iter().all(|(_, s)| s.points.is_empty()) {
        return String::new();
    }
    let x_name = match axis {
        Axis::Step => say(lang, "axis-step"),
        Axis::Bytes => say(lang, "axis-bytes"),
        Axis::Time => say(lang, "axis-time"),
    };
    let (y_name, names) = (say(lang, "axis-y"), branches(series));
    let line = |(name, s): &(String, Series)| {
        let heights = if s.held_out { s.points.iter().map(|p| p.bits_per_byte).collect() } else { smooth(&s.points) };
        Line {
            points: s.points.iter().map(|p| across(p, axis)).zip(heights).collect(),
            // A branch keeps its colour, whether it is its training or its held-out text.
            colour: names.iter().position(|b| b == name).unwrap_or(0),
            width: if s.held_out { 1 } else { 2 },
            dots: s.held_out.then_some(4),
            label: None,
        }
    };
    let chart = CurveChart {
        size: SIZE,
        margins: (8, 24),
        label_areas: (58, 72),
        font: 18,
        least: (1e-6, 1e-2),
        x: (&x_name, &|x| written(x, axis, lang)),
        y: (Some(&y_name), &|y| super::number(Some(y), 2, lang)),
        lines: series.iter().map(line).collect(),
    };
    // The library writes a size in pixels; the box alone lets the page decide.
    curve_chart(&chart).replacen(&format!("width=\"{}\" height=\"{}\" ", SIZE.0, SIZE.1), "", 1)
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
