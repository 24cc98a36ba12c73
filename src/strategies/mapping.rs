//! The mapping stage: rows for a new vocabulary in place of the old one's, and a report of it: what is shared, where the
//! other rows came from, how long they are, and what to be wary of. Methods are `embed`'s business.

use super::error::StrategyError;
use super::{RunContext, RunInputs};
use crate::domain::outcome::Vocab;
use crate::domain::stage::Stage;
use crate::domain::vocabulary::Origin;
use crate::files::FileError;
use crate::model::{Bridges, Decoder, Matrix, write_atomically};
use crate::transplant::{Method, Norms, TransplantInputs, TransplantedMatrix, transplant};
use serde::Serialize;
use std::collections::BTreeMap;

/// `mapping.json` in a branch's folder.
#[derive(Debug, Serialize)]
struct Report {
    /// Rows of the new vocabulary.
    rows: usize,
    /// Rows by where the old vocabulary has them: exact, role, pieces, nothing.
    origins: BTreeMap<&'static str, u64>,
    /// Share of the candidate's occurrences in the text that the original has as tokens.
    coverage_of_text: Option<f64>,
    /// How well the original's space expresses the candidate's tokens, and on what basis that was measured.
    similarity: Option<(f64, String)>,
    /// Name of the method.
    method: String,
    /// Rows by the link of the method that made them; input, then output where it is a matrix of its own.
    made_by: Vec<BTreeMap<&'static str, u64>>,
    /// Mean length of copied rows and of made ones: a head's shorter row is a token thought less likely.
    mean_norm: Vec<(f64, f64)>,
    /// What to be wary of, in sentences.
    risks: Vec<String>,
}

/// Rows for the stage's vocabulary in place of the original's; the report goes to `branches/NAME/mapping.json`.
pub(super) fn transplanted(model: Decoder, stage: Stage, run: &mut RunContext<'_>) -> Result<Decoder, StrategyError> {
    let (inputs, on) = (run.inputs, stage.vocab());
    let tokens: Vec<u32> = inputs.source.vocabulary.iter().map(|(id, _)| id).collect();
    let (input, output) = model.embeddings()?;
    let mapping = inputs.mapping(on)?;
    let request = TransplantInputs {
        input: &input,
        output: output.as_ref(),
        tokens: &tokens,
        mapping,
        norms: Norms::Kept,
        seed: run.env.seed,
    };
    let method = inputs.method.unwrap_or_default();
    let (input, output) = transplant(&request, method, None)?;
    let report = report(inputs, on, method, &input, output.as_ref())?;
    let counts: Vec<String> = input.provenance.iter().map(|(name, n)| format!("{n} {name}")).collect();
    let risks = report.risks.join(" ");
    run.env.note(format!("Rows for the new vocabulary: {}. {risks}", counts.join(", ")).trim_end().to_string());
    let path = run.env.out.join("branches").join(stage.branch()).join("mapping.json");
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(FileError::writing(folder))?;
    }
    write_atomically(&path, |to| {
        serde_json::to_writer_pretty(&mut *to, &report)?;
        writeln!(to)
    })?;
    let output = output.map(|m| m.matrix);
    Ok(match on {
        Vocab::Both => {
            let rank = inputs.config(stage)?.rank;
            model.with_second(input.matrix, output, Bridges { rank, seed: run.env.seed })?
        }
        Vocab::Source | Vocab::Candidate | Vocab::Grown => model.replace_embeddings(input.matrix, output)?,
    })
}

fn report(
    inputs: &RunInputs<'_>,
    on: Vocab,
    method: Method,
    input: &TransplantedMatrix,
    output: Option<&TransplantedMatrix>,
) -> Result<Report, StrategyError> {
    let mut origins: BTreeMap<&'static str, u64> = BTreeMap::new();
    for origin in &inputs.mapping(on)?.origins {
        let word = match origin {
            Origin::Exact(_) => "exact",
            Origin::Role(_) => "role",
            Origin::Pieces(_) => "pieces",
            Origin::Nothing => "nothing",
        };
        *origins.entry(word).or_default() += 1;
    }
    let of_candidate = matches!(on, Vocab::Candidate | Vocab::Both);
    let profile = inputs.profile;
    let coverage = profile.coverage.corpus.map(|c| c.get()).filter(|_| of_candidate);
    let similarity = of_candidate.then_some(&profile.similarity);
    let mean_norm: Vec<(f64, f64)> = std::iter::once(input).chain(output).map(norms).collect();
    let mut risks = Vec::new();
    let made = origins.get("pieces").copied().unwrap_or_default() + origins.get("nothing").copied().unwrap_or_default();
    let all: u64 = origins.values().sum();
    if 2 * made > all && of_candidate {
        risks.push(format!("{made} of {all} rows are no copies: they have to be learnt."));
    }
    let nothing = origins.get("nothing").copied().unwrap_or_default();
    if nothing > 0 {
        risks.push(format!("{nothing} rows have nothing in the original to be made from."));
    }
    if let Some((copied, made)) = mean_norm.last().filter(|(c, m)| *c > 0.0 && *m > 0.0 && *m < 0.6 * *c) {
        risks.push(format!(
            "Made rows are {:.0}% as long as copied ones: new tokens start unlikely.",
            100.0 * made / copied
        ));
    }
    Ok(Report {
        rows: input.matrix.rows(),
        origins,
        coverage_of_text: coverage,
        similarity: similarity.map(|s| (s.score.get(), s.basis.to_string())),
        method: method.to_string(),
        made_by: std::iter::once(input).chain(output).map(|m| m.provenance.clone()).collect(),
        mean_norm,
        risks,
    })
}

/// Mean length of the rows that are copies, and of the rest; 0 where there are none.
fn norms(moved: &TransplantedMatrix) -> (f64, f64) {
    let length = |m: &Matrix, i: usize| m.row(i).iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    let mut sums = [(0.0, 0u64); 2];
    for (i, by) in moved.by_row.iter().enumerate() {
        let made = usize::from(!matches!(*by, "exact" | "special"));
        if let Some((sum, n)) = sums.get_mut(made) {
            *sum += length(&moved.matrix, i);
            *n += 1;
        }
    }
    let [copied, made] = sums.map(|(sum, n)| if n == 0 { 0.0 } else { sum / n as f64 });
    (copied, made)
}
