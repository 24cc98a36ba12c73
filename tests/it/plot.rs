//! Draws the seed's case in small: two runs' learning curves beside each other, from their `run.json`. By hand:
//!
//! HIBRIT_RUNS="reset at random=OUT1;hibrit's mapping=OUT2" HIBRIT_PLOT=docs/seed-case.svg \
//!   cargo test --test it plot:: -- --ignored

use plotters::prelude::*;
use serde_json::Value;

/// A run by its name: training loss and held-out loss, each by text seen.
type Curves = (String, Vec<(f64, f64)>, Vec<(f64, f64)>);

#[test]
#[ignore = "draws docs/seed-case.svg from two runs; see the top of tests/it/plot.rs for the command"]
fn the_curves_of_two_runs_are_drawn() {
    let (runs, to) = (std::env::var("HIBRIT_RUNS").expect("runs"), std::env::var("HIBRIT_PLOT").expect("a file"));
    let curves: Vec<Curves> = runs
        .split(';')
        .map(|run| {
            let (name, folder) = run.split_once('=').expect("NAME=FOLDER");
            let text = std::fs::read(std::path::Path::new(folder).join("run.json")).expect("run.json");
            let run: Value = serde_json::from_slice(&text).expect("JSON");
            let points = run.pointer("/outcome/branches/0/curve").and_then(Value::as_array).expect("a curve");
            let of = |field: &str| -> Vec<(f64, f64)> {
                let at = |p: &Value| Some((p["bytes_seen"].as_f64()? / 1000.0, p[field].as_f64()?));
                points.iter().filter_map(at).collect()
            };
            (name.to_string(), of("train_bits_per_byte"), of("eval_bits_per_byte"))
        })
        .collect();
    let all = || curves.iter().flat_map(|(_, train, eval)| train.iter().chain(eval));
    let (right, top) = all().fold((0.0f64, 0.0f64), |(x, y), p| (x.max(p.0), y.max(p.1)));
    let area = SVGBackend::new(&to, (720, 400)).into_drawing_area();
    area.fill(&WHITE).expect("drawn");
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d(0.0..right * 1.02, 0.0..top * 1.05)
        .expect("a chart");
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("kB of text seen")
        .y_desc("bits per byte (line: training, dots: held out)")
        .draw()
        .expect("drawn");
    let colours = [RGBColor(194, 93, 12), RGBColor(37, 99, 168)];
    for (i, ((name, train, eval), colour)) in (0..).zip(curves.iter().zip(colours)) {
        chart.draw_series(LineSeries::new(train.iter().copied(), colour.stroke_width(1))).expect("drawn");
        chart.draw_series(eval.iter().map(|p| Circle::new(*p, 4, colour.filled()))).expect("drawn");
        let end = eval.last().map_or(f64::NAN, |p| p.1);
        let style = ("sans-serif", 16).into_font().color(&colour);
        area.draw(&Text::new(format!("{name}: {end:.3} held out at the end"), (360, 24 + 22 * i), style))
            .expect("drawn");
    }
    area.present().expect("written");
}
