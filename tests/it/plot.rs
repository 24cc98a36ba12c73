//! Draws runs' learning curves beside each other, from their `run.json`: the seed's case in small. By hand:
//!
//! HIBRIT_RUNS="reset at random=OUT1;hibrit's mapping=OUT2" HIBRIT_PLOT=docs/seed-case.svg \
//!   cargo test --test it plot:: -- --ignored

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::Value;

/// Bits per byte by kB of text seen.
type Line = Vec<(f64, f64)>;

/// A run: its name, its training loss (smoothed) and its held-out loss.
struct Curves {
    name: String,
    train: Line,
    held_out: Line,
}

/// Steps that a point of the training line is averaged over, since single batches scatter.
const SMOOTH: usize = 9;

fn read(run: &str) -> Curves {
    let (name, folder) = run.split_once('=').expect("NAME=FOLDER");
    let text = std::fs::read(std::path::Path::new(folder).join("run.json")).expect("run.json");
    let run: Value = serde_json::from_slice(&text).expect("JSON");
    let branches = run.pointer("/outcome/branches").and_then(Value::as_array).expect("branches");
    let winner = branches.iter().find(|b| b["name"] == run["outcome"]["winner"]).expect("a winner");
    let points = winner["curve"].as_array().expect("a curve");
    let of = |field: &str| -> Line {
        let at = |p: &Value| Some((p["bytes_seen"].as_f64()? / 1000.0, p[field].as_f64()?));
        points.iter().filter_map(at).collect()
    };
    let raw = of("train_bits_per_byte");
    let mean = |w: &[(f64, f64)]| (w[w.len() / 2].0, w.iter().map(|p| p.1).sum::<f64>() / w.len() as f64);
    let train = raw.windows(SMOOTH.min(raw.len()).max(1)).map(mean).collect();
    Curves { name: name.to_string(), train, held_out: of("eval_bits_per_byte") }
}

#[test]
#[ignore = "draws docs/seed-case.svg from runs; see the top of tests/it/plot.rs for the command"]
fn the_curves_of_runs_are_drawn() {
    let (runs, to) = (std::env::var("HIBRIT_RUNS").expect("runs"), std::env::var("HIBRIT_PLOT").expect("a file"));
    let curves: Vec<Curves> = runs.split(';').map(read).collect();
    let all = || curves.iter().flat_map(|c| c.train.iter().chain(&c.held_out));
    let right = all().fold(0.0f64, |x, p| x.max(p.0));
    let (low, high) = all().fold((f64::MAX, 0.0f64), |(l, h), p| (l.min(p.1), h.max(p.1)));
    let (bottom, top) = ((low * 5.0).floor() / 5.0, (high * 5.0).ceil() / 5.0);
    let area = SVGBackend::new(&to, (760, 420)).into_drawing_area();
    area.fill(&WHITE).expect("drawn");
    let grey = RGBColor(90, 90, 90);
    let font = ("sans-serif", 14).into_font().color(&grey);
    // Room to the right for the names, which stand at the lines' ends.
    let mut chart = ChartBuilder::on(&area)
        .margin(14)
        .margin_right(190)
        .x_label_area_size(44)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..right, bottom..top)
        .expect("a chart");
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(RGBColor(225, 225, 225))
        .light_line_style(TRANSPARENT)
        .axis_style(RGBColor(150, 150, 150))
        .x_labels(6)
        .y_labels(8)
        .y_label_formatter(&|y| format!("{y:.1}"))
        .label_style(font.clone())
        .axis_desc_style(font)
        .x_desc("kB of text seen")
        .y_desc("bits per byte")
        .draw()
        .expect("drawn");
    let colours = [RGBColor(194, 93, 12), RGBColor(37, 99, 168), RGBColor(70, 130, 70)];
    // Names that would lie on each other are moved apart.
    let mut taken: Vec<f64> = Vec::new();
    let least = (top - bottom) / 10.0;
    for (Curves { name, train, held_out }, colour) in curves.iter().zip(colours) {
        chart.draw_series(LineSeries::new(train.iter().copied(), colour.mix(0.45).stroke_width(1))).expect("drawn");
        chart.draw_series(LineSeries::new(held_out.iter().copied(), colour.stroke_width(2))).expect("drawn");
        chart.draw_series(held_out.iter().map(|p| Circle::new(*p, 4, colour.filled()))).expect("drawn");
        let end = held_out.last().copied().expect("held-out text was measured");
        let mut at = end.1;
        while let Some(near) = taken.iter().find(|y| (at - **y).abs() < least) {
            at = near + least * if end.1 >= *near { 1.001 } else { -1.001 };
        }
        taken.push(at);
        let (x, y) = chart.backend_coord(&(end.0, at));
        let left = Pos::new(HPos::Left, VPos::Center);
        let style = ("sans-serif", 15).into_font().color(&colour).pos(left);
        area.draw(&Text::new(format!("{name}: {:.3}", end.1), (x + 12, y), style)).expect("drawn");
    }
    let style = ("sans-serif", 13).into_font().color(&grey);
    let note = "dots: held-out text; thin lines: training, mean of 9 points";
    area.draw(&Text::new(note, (70, 6), style)).expect("drawn");
    area.present().expect("written");
}
