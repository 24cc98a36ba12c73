//! `hibrit scorer`: the tree that is grown on past runs.

use super::{Failure, Session};
use crate::app;
use clap::{Args, Subcommand};

/// Commands below `scorer`.
#[derive(Debug, Subcommand)]
pub enum ScorerCommand {
    /// Train the scorer on the history; it goes live if it is no worse than the live one and the rules alone
    #[command(alias = "promote")]
    Train,
    /// Evaluate its choices on unseen cases, compared with the rules alone and others
    Evaluate,
    /// Print the live scorer's tree and which inputs matter
    Explain,
    /// Evaluate the scorer in simulated worlds, where the truth is known
    Simulate(Simulate),
}

/// Arguments of `simulate`.
#[derive(Debug, Args)]
pub struct Simulate {
    /// Worlds per cell [default: 60]
    #[arg(long, value_name = "N")]
    worlds: Option<usize>,
    /// Numbers of past runs [default: 20 100 300 1000]
    #[arg(long, value_name = "N", num_args = 1..)]
    runs: Vec<usize>,
    /// Random seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl ScorerCommand {
    /// Does what was asked.
    pub fn run(self, session: &Session) -> Result<(), Failure> {
        let settings = &session.settings;
        match self {
            ScorerCommand::Train => {
                let (growth, promotion) = app::promote_scorer(settings)?;
                session.print(
                    || serde_json::json!({ "scorer": growth, "promotion": promotion }),
                    || app::describe(&growth, promotion.as_ref()),
                )
            }
            ScorerCommand::Evaluate => {
                let evaluated = app::evaluate_scorer(settings)?;
                session.print(
                    || serde_json::json!({ "evaluation": evaluated }),
                    || match &evaluated {
                        Some(evaluated) => evaluated.table(),
                        None => "The history is too small to evaluate choices: no case has a choice.".into(),
                    },
                )
            }
            ScorerCommand::Explain => {
                let live = app::explain_scorer(settings)?;
                session.print(
                    || serde_json::json!({ "scorer": live.as_ref().map(|l| &l.0) }),
                    || live.as_ref().map_or("No scorer is live; the rules decide alone.".into(), |l| l.1.clone()),
                )
            }
            ScorerCommand::Simulate(args) => {
                let mut progress = session.progress();
                let simulation = app::simulate_scorer(settings, args.worlds, &args.runs, args.seed, &mut progress)?;
                drop(progress);
                session.print(|| serde_json::json!({ "simulation": simulation }), || simulation.table())
            }
        }
    }
}
