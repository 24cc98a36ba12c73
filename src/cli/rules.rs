//! `hibrit rules`: the tables that decide.

use super::{Failure, Session};
use crate::app;
use clap::{Args, Subcommand};
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use std::path::PathBuf;

/// Commands below `rules`.
#[derive(Debug, Subcommand)]
pub enum Rules {
    /// Check for gaps, overlaps, unreachable rows and contradictions; findings come with an input that shows them
    Check,
    /// Run the tests in the tables
    Test,
    /// Print a table, or all
    Show(ShowTable),
    /// Show inputs on which two sets of rules differ
    Diff(Diff),
    /// Replay past decisions under the current rules: which would change, and what that would have gained
    Replay,
    /// Write the JSON Schemas of the rule files and of what --json prints
    Schema(Schema),
}

/// A table by its name.
#[derive(Debug, Args)]
pub struct ShowTable {
    /// The table's name, such as decision or vetoes
    table: Option<String>,
}

/// Where schemas go.
#[derive(Debug, Args)]
pub struct Schema {
    /// The folder
    #[arg(long, value_name = "DIR", default_value = "schemas")]
    out: PathBuf,
}

/// Two folders of rules.
#[derive(Debug, Args)]
pub struct Diff {
    /// A folder of rules
    a: PathBuf,
    /// Another one [default: the built-in rules]
    b: Option<PathBuf>,
}

impl Rules {
    /// Does what was asked.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        let settings = &session.settings;
        match self {
            Rules::Check => {
                let report = app::check_rules(settings)?;
                session.print(|| serde_json::json!({ "check": report }), || report.text(session.colour))?;
                sound(report.usable, "the rules cannot be used", "each finding above says what to change")
            }
            Rules::Test => {
                let results = app::test_rules(settings)?;
                let failed = results.iter().filter(|r| r.got != r.wanted).count();
                session.print(
                    || serde_json::json!({ "tests": results }),
                    || {
                        let lines = results.iter().map(|r| {
                            let mark = if r.got == r.wanted { "ok" } else { "FAILED" };
                            let rows = if r.got == r.wanted {
                                String::new()
                            } else {
                                format!(": expected {:?}, got {:?}", r.wanted, r.got)
                            };
                            format!("{mark:>6}  {}: {}{rows}\n", r.table, r.name)
                        });
                        format!("{}{} passed, {failed} failed", lines.collect::<String>(), results.len() - failed)
                    },
                )?;
                sound(
                    failed == 0,
                    "tests of the rules failed",
                    "each failed test shows the expected and the actual result",
                )
            }
            Rules::Show(show) => {
                let grids = app::show_rules(settings, show.table.as_deref())?;
                session.print(
                    || serde_json::json!({ "tables": grids }),
                    || {
                        let one = |grid: &app::Grid| {
                            let mut table = Table::new();
                            table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
                            table.set_width(session.style.width);
                            table.set_header(&grid.headings);
                            for row in &grid.rows {
                                table.add_row(row);
                            }
                            format!("{}: {}\n{table}\n", grid.table, grid.about)
                        };
                        grids.iter().map(one).collect::<Vec<_>>().join("\n")
                    },
                )
            }
            Rules::Diff(diff) => {
                let report = app::diff_rules(Some(&diff.a), diff.b.as_deref())?;
                session.print(|| serde_json::json!({ "diff": report }), || report.text())
            }
            Rules::Replay => {
                let replay = app::hindsight(settings)?;
                let flips = replay.decisions.iter().filter(|r| r.flips).count();
                session.print(
                    || serde_json::json!({ "replay": replay.decisions, "earned": replay.earned, "known": replay.known }),
                    || {
                        let lines = replay.decisions.iter().filter(|r| r.flips).map(|r| {
                            let now = r.now.map_or("nothing".to_string(), |s| s.to_string());
                            format!("{}: {} -> {now}: {}\n", r.run, r.was, r.because)
                        });
                        format!(
                            "{}{flips} of {} decisions would change. {}",
                            lines.collect::<String>(),
                            replay.decisions.len(),
                            earned(&replay)
                        )
                    },
                )
            }
            Rules::Schema(schema) => {
                let written = app::write_schemas(&schema.out, &crate::report::json::schema())?;
                session.print(
                    || serde_json::json!({ "schemas": written }),
                    || written.iter().map(|p| format!("{}\n", p.display())).collect(),
                )
            }
        }
    }
}

/// What today's rules would have earned on past decisions, or that too few agree to say.
fn earned(replay: &app::Replay) -> String {
    let (earned, known) = (&replay.earned, replay.known);
    match earned.estimate.filter(|_| earned.verdict) {
        Some(saved) => format!(
            "Where they agree with what was done they would have saved {saved:+.4} bits per byte against keep \
             (self-normalised estimate, worth {:.1} of {known} decisions).",
            earned.effective
        ),
        None => format!(
            "The gain cannot be estimated: the effective sample size is {:.1} of {known} decisions, and 10 are needed.",
            earned.effective
        ),
    }
}

fn sound(ok: bool, message: &str, hint: &str) -> Result<(), Failure> {
    if ok { Ok(()) } else { Err(Failure::unsound(message, hint)) }
}
