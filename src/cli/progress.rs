//! Progress on stderr: a bar with the time left on a terminal, plain lines elsewhere, nothing when quiet.

use crate::domain::directive::Measurement;
use crate::domain::event::{Event, Observer};
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often a plain line may be written while a phase goes on.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Bar,
    Lines,
    Quiet,
}

/// Shows events as they come.
pub struct ProgressDisplay {
    manner: Manner,
    bar: Option<ProgressBar>,
    phase: String,
    total: u64,
    /// What the last step said; progress without a step leaves it standing.
    message: String,
    last_line: Instant,
    /// When the phase began.
    began: Instant,
}

impl ProgressDisplay {
    /// A bar on a terminal, lines elsewhere, nothing if `quiet`.
    pub fn new(quiet: bool) -> Self {
        let manner = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Manner::Quiet,
            (false, true) => Manner::Bar,
            (false, false) => Manner::Lines,
        };
        Self {
            manner,
            bar: None,
            phase: String::new(),
            total: 0,
            message: String::new(),
            last_line: Instant::now(),
            began: Instant::now(),
        }
    }

    fn say(&self, text: &str) {
        match (&self.bar, self.manner) {
            (_, Manner::Quiet) => {}
            (Some(bar), _) => bar.println(text),
            (None, _) => eprintln!("{text}"),
        }
    }

    fn begin(&mut self, name: &str, total: u64, unit: &str) {
        self.end();
        self.phase = name.to_string();
        self.total = total;
        self.message.clear();
        self.last_line = Instant::now();
        self.began = self.last_line;
        match self.manner {
            Manner::Quiet => {}
            Manner::Lines => eprintln!("{name} ..."),
            Manner::Bar => {
                let amount = match unit {
                    "bytes" => "{binary_bytes}/{binary_total_bytes}".to_string(),
                    _ => format!("{{human_pos}}/{{human_len}} {unit}"),
                };
                let template = format!("{{spinner}} {{prefix}} {{bar:24}} {amount}, {{eta}} left {{msg}}");
                let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
                let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
                bar.set_style(style.progress_chars("━╸─"));
                bar.set_prefix(name.to_string());
                bar.enable_steady_tick(Duration::from_millis(200));
                self.bar = Some(bar);
            }
        }
    }

    fn advance(&mut self, done: u64) {
        match self.manner {
            Manner::Quiet => {}
            Manner::Bar => {
                if let Some(bar) = &self.bar {
                    bar.set_position(done);
                    bar.set_message(self.message.clone());
                }
            }
            Manner::Lines if self.last_line.elapsed() >= PLAIN_INTERVAL => {
                self.last_line = Instant::now();
                eprintln!("{}", self.line(done));
            }
            Manner::Lines => {}
        }
    }

    /// A plain line: how far the phase is, what the last step said, how long it will take at the pace so far.
    fn line(&self, done: u64) -> String {
        let percent = 100.0 * done as f64 / self.total.max(1) as f64;
        let left = match done {
            0 => String::new(),
            done => {
                let pace = self.began.elapsed().as_secs_f64() / done as f64;
                let seconds = pace * self.total.saturating_sub(done) as f64;
                format!(", {} left", HumanDuration(Duration::from_secs_f64(seconds.min(1e9))))
            }
        };
        format!("  {} {percent:.0}% {}{left}", self.phase, self.message)
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Observer for ProgressDisplay {
    fn observe(&mut self, event: &Event) {
        match event {
            Event::Phase { name, total, unit } => self.begin(name, *total, unit),
            Event::Progress { done } => self.advance(*done),
            Event::Step(m) => {
                self.message = said(m);
                self.advance(m.step);
            }
            Event::Evaluated { at, evaluation } => self.say(&format!(
                "  held-out after step {}: {:.4} bits per byte, equivalent loss {:.4}",
                at.step,
                evaluation.bits_per_byte.get(),
                evaluation.equivalent_loss.get()
            )),
            Event::Directed { step, directive } => self.say(&format!("  step {step}: {directive:?}")),
            Event::Incident(i) => self.say(&format!("  step {}: {} ({})", i.step, i.kind, i.detail)),
            Event::Note { text } => self.say(text),
            Event::Began(_) | Event::Ended { .. } => {}
            Event::Finished { .. } => self.end(),
        }
    }
}

/// What a step has to say.
fn said(m: &Measurement) -> String {
    let memory = if m.peak_memory > 0 { format!(", peak {}", HumanBytes(m.peak_memory)) } else { String::new() };
    format!(
        "loss {:.3}, {:.3} bits/byte, norm {:.2}, {:.0} tokens/s{memory}",
        m.loss, m.bits_per_byte, m.gradient_norm, m.tokens_per_second
    )
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_says_how_far_how_well_and_how_long() {
        let mut progress = ProgressDisplay::new(true);
        progress.begin("train", 8, "steps");
        progress.began -= Duration::from_secs(60);
        let m = Measurement {
            step: 2,
            steps_planned: 8,
            bytes_seen: 1,
            tokens_seen: 1,
            loss: 2.5,
            bits_per_byte: 1.25,
            gradient_norm: 0.5,
            learning_rate: 1e-3,
            tokens_per_second: 1234.0,
            elapsed: 60.0,
            peak_memory: 3 << 20,
        };
        progress.observe(&Event::Step(m));
        let line = progress.line(2);
        for part in
            ["25%", "loss 2.500", "1.250 bits/byte", "norm 0.50", "1234 tokens/s", "peak 3.00 MiB", "3 minutes left"]
        {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
}
