//! What does a run say? First where the loss went and how that stands against keep; then every branch with its curve,
//! what went wrong, where the files are, and what to run next.

use super::{label, number, saving};
use crate::domain::directive::Directive;
use crate::domain::outcome::{Branch, CurvePoint, Evaluation, Incident, Level, Outcome, Status, Vocab};
use crate::domain::run::{Feedback, Run};
use crate::domain::strategy::Strategy;
use crate::report::numbers::{bytes, count, duration, fixed, percent, short, whole_percent};
use crate::report::page::{Block, Cell, Chart, Page, Series, Table, Tone, left, right};
use crate::report::words::{Words, say};

pub(in crate::report) fn page(run: &Run, words: &Words) -> Page {
    let mut blocks = answer(run, words);
    blocks.push(Block::Text(decided(run, words)));
    if let Some(outcome) = &run.outcome {
        blocks.extend(gained(run, outcome, words));
        blocks.extend(branches(outcome, words));
        blocks.extend(curves(outcome, words));
        blocks.extend(incidents(outcome, words));
    }
    blocks.push(Block::Heading(say!(words, "request")));
    blocks.push(Block::Text(request(run, words)));
    if !run.feedback.is_empty() {
        blocks.push(Block::Heading(say!(words, "feedback")));
        blocks.push(Block::List(run.feedback.iter().map(|f| feedback(f, words)).collect()));
    }
    blocks.extend(files(run, words));
    Page { title: say!(words, "run-title", id = run.id.as_str()), blocks }
}

/// The name of the level, as cells and sentences show it.
pub(in crate::report) fn level(level: Level, words: &Words) -> Cell {
    let tone = match level {
        Level::Excellent | Level::Good => Tone::Good,
        Level::Minimum => Tone::Plain,
        Level::Failed => Tone::Bad,
    };
    Cell::toned(words.one_of("level", &level.to_string()), tone)
}

/// How the run stands.
pub(in crate::report) fn status(run: &Run, words: &Words) -> Cell {
    match run.status {
        None => Cell::toned(say!(words, "status-running"), Tone::Muted),
        Some(status) => ended(status, words),
    }
}

fn ended(status: Status, words: &Words) -> Cell {
    let tone = match status {
        Status::Done => Tone::Plain,
        Status::Stopped | Status::Interrupted => Tone::Muted,
        Status::Failed => Tone::Bad,
    };
    Cell::toned(words.one_of("status", &status.to_string()), tone)
}

fn answer(run: &Run, words: &Words) -> Vec<Block> {
    let Some(outcome) = &run.outcome else {
        let sentence = match run.status {
            Some(Status::Interrupted) => say!(words, "run-answer-interrupted"),
            _ => say!(words, "run-answer-open"),
        };
        return vec![Block::Answer(Tone::Muted, sentence)];
    };
    let strategy = outcome.strategy.to_string();
    let (Some(after), Some(loss)) = (outcome.bits_per_byte, outcome.equivalent_loss) else {
        let key = if outcome.status == Status::Interrupted { "run-answer-interrupted" } else { "run-answer-failed" };
        let sentence = words.say(key, &[("strategy", strategy.as_str().into())]);
        return vec![Block::Answer(
            Tone::Bad,
            format!("{sentence} {}", words.because_sentence(&outcome.verdict)).trim_end().to_string(),
        )];
    };
    let written = |value: f64| fixed(value, 3, words.lang);
    let loss_after = fixed(loss.get(), 2, words.lang);
    let (mut tone, mut sentence) = (Tone::Plain, String::new());
    if let Some(base) = &outcome.base {
        let fell = base.bits_per_byte.get() - after.get();
        let change = if fell > 0.0005 {
            "better"
        } else if fell < -0.0005 {
            "worse"
        } else {
            "same"
        };
        tone = if fell > 0.0005 {
            Tone::Good
        } else if fell < -0.0005 {
            Tone::Bad
        } else {
            Tone::Plain
        };
        sentence = words.say(
            "run-answer",
            &[
                ("strategy", strategy.as_str().into()),
                ("change", change.into()),
                ("before", written(base.bits_per_byte.get()).into()),
                ("after", written(after.get()).into()),
                ("loss-before", fixed(base.equivalent_loss.get(), 2, words.lang).into()),
                ("loss-after", loss_after.as_str().into()),
            ],
        );
    }
    if sentence.is_empty() {
        let values = [
            ("strategy", strategy.as_str().into()),
            ("after", written(after.get()).into()),
            ("loss-after", loss_after.as_str().into()),
        ];
        sentence = words.say("run-answer-after", &values);
    }
    let mut said = vec![against_keep(outcome, words)];
    if let Some(reached) = outcome.level {
        said.push(say!(words, "run-level", level = level(reached, words).text));
    }
    vec![Block::Answer(tone, sentence), Block::Text(said.join(" "))]
}

fn against_keep(outcome: &Outcome, words: &Words) -> String {
    match outcome.saved_against_keep {
        _ if outcome.strategy == Strategy::Keep => say!(words, "run-is-keep"),
        None => say!(words, "run-against-nothing"),
        Some(saved) => {
            let change = if saved >= 0.0 { "better" } else { "worse" };
            say!(words, "run-against-keep", amount = fixed(saved.abs(), 3, words.lang), change = change)
        }
    }
}

fn decided(run: &Run, words: &Words) -> String {
    let decision = &run.decision;
    let confidence = whole_percent(decision.confidence.get(), words.lang);
    let strategy = decision.strategy.to_string();
    let because = words.because_sentence(&decision.because);
    let mut said = say!(words, "run-decided", strategy = strategy.as_str(), confidence = confidence, because = because);
    let mut add = |sentence: String| {
        said += " ";
        said += &sentence;
    };
    if let Some(forced) = run.request.forced {
        add(say!(words, "run-forced", strategy = forced.to_string()));
    }
    if let Some(outcome) = &run.outcome {
        let expected = run.request.forced.unwrap_or(decision.strategy);
        if outcome.strategy != expected {
            let other = outcome.strategy.to_string();
            add(match outcome.bits_per_byte {
                Some(_) => say!(words, "run-otherwise", strategy = strategy, other = other),
                None => say!(words, "run-tried", strategy = strategy, other = other),
            });
        }
        if !outcome.verdict.is_empty() && outcome.bits_per_byte.is_some() {
            add(words.because_sentence(&outcome.verdict));
        }
    }
    said
}

/// What the new tokenizer brings, where the model that came out uses it.
fn gained(run: &Run, outcome: &Outcome, words: &Words) -> Vec<Block> {
    let Some(winner) = winner(outcome) else { return Vec::new() };
    let lines = match winner.tokenizer {
        Vocab::Candidate | Vocab::Both => super::profile::gain(&run.profile, words),
        Vocab::Source => vec![say!(words, "gain-stays")],
        Vocab::Grown => match (&outcome.base, &winner.after) {
            (Some(base), Some(after)) => {
                let (before, after) = (count(base.tokens, words.lang), count(after.tokens, words.lang));
                vec![say!(words, "gain-grown", before = before, after = after)]
            }
            _ => Vec::new(),
        },
    };
    vec![Block::Heading(say!(words, "gain")), Block::List(lines)]
}

fn winner(outcome: &Outcome) -> Option<&Branch> {
    outcome.branches.iter().find(|b| outcome.winner.as_ref() == Some(&b.name))
}

fn branches(outcome: &Outcome, words: &Words) -> Vec<Block> {
    let columns = vec![
        left(say!(words, "branch")),
        left(say!(words, "tokenizer")),
        right(say!(words, "bits-per-byte")),
        right(say!(words, "loss")),
        right(say!(words, "raw-loss")),
        right(say!(words, "trained")),
        right(say!(words, "time")),
        left(say!(words, "status")),
    ];
    let row = |b: &Branch| {
        let tone = if outcome.winner.as_ref() == Some(&b.name) { Tone::Strong } else { Tone::Plain };
        let way = |of: fn(&Evaluation) -> f64, decimals| {
            super::way(b.before.as_ref().map(of), b.after.as_ref().map(of), decimals, words)
        };
        vec![
            Cell::toned(b.name.clone(), tone),
            vocabulary(b.tokenizer, words).into(),
            Cell::toned(way(|e| e.bits_per_byte.get(), 3), tone),
            Cell::toned(way(|e| e.equivalent_loss.get(), 2), tone),
            Cell::toned(number(b.after.as_ref().map(|e| e.loss_per_token), 2, words), Tone::Muted),
            short(b.trainable_parameters as f64, words.lang).into(),
            duration(b.seconds, words).into(),
            ended(b.status, words),
        ]
    };
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    if let Some(base) = &outcome.base {
        let raw = Cell::toned(number(Some(base.loss_per_token), 2, words), Tone::Muted);
        let mut cells = vec![
            Cell::toned(say!(words, "base"), Tone::Muted),
            vocabulary(Vocab::Source, words).into(),
            number(Some(base.bits_per_byte.get()), 3, words).into(),
            number(Some(base.equivalent_loss.get()), 2, words).into(),
            raw,
        ];
        cells.resize(columns.len(), Cell::from(String::new()));
        rows.push(cells);
    }
    rows.extend(outcome.branches.iter().map(row));
    let mut blocks = vec![Block::Heading(say!(words, "branches")), Block::Table(Table { columns, rows })];
    blocks.push(Block::Note(say!(words, "raw-loss-note")));
    if let Some(e) = outcome.base.as_ref().or_else(|| outcome.branches.iter().find_map(|b| b.after.as_ref())) {
        let (n, documents) = (e.documents, count(e.documents, words.lang));
        blocks.push(Block::Note(say!(
            words,
            "evaluated-on",
            n = n,
            count = documents,
            bytes = bytes(e.bytes, words.lang)
        )));
    }
    for branch in &outcome.branches {
        if let Some(after) = branch.after.as_ref().filter(|e| e.unknown_bytes.get() > 0.0) {
            let share = percent(after.unknown_bytes.get(), words.lang);
            blocks.push(Block::Note(say!(words, "unknown-charged", percent = share, branch = branch.name.as_str())));
        }
        if let Some(reason) = words.failure(branch) {
            let line = say!(words, "failure-line", branch = branch.name.as_str(), reason = reason);
            blocks.push(Block::Answer(Tone::Bad, line));
        }
    }
    blocks
}

fn vocabulary(vocab: Vocab, words: &Words) -> String {
    match vocab {
        Vocab::Source => say!(words, "original"),
        Vocab::Candidate => say!(words, "candidate"),
        Vocab::Grown => say!(words, "grown"),
        Vocab::Both => say!(words, "both-vocabularies"),
    }
}

/// Held-out curves where there are any, training curves otherwise.
fn curves(outcome: &Outcome, words: &Words) -> Option<Block> {
    let series = |pick: fn(&CurvePoint) -> Option<f64>| -> Vec<Series> {
        let of = |b: &Branch| {
            let points = b.curve.iter().filter_map(|p| Some((p.bytes_seen as f64, pick(p)?))).collect();
            Series { name: b.name.clone(), points }
        };
        outcome.branches.iter().map(of).filter(|s| s.points.len() >= 2).collect()
    };
    let axis = say!(words, "curve-axis");
    let (evaluated, trained) = (series(|p| p.eval_bits_per_byte), series(|p| p.train_bits_per_byte));
    if !evaluated.is_empty() {
        return Some(Block::Chart(Chart::Curves { title: say!(words, "curve"), axis, series: evaluated }));
    }
    (!trained.is_empty())
        .then(|| Block::Chart(Chart::Curves { title: say!(words, "curve-train"), axis, series: trained }))
}

fn incidents(outcome: &Outcome, words: &Words) -> Vec<Block> {
    let of_branches = outcome.branches.iter().flat_map(|b| b.incidents.iter().map(move |i| (b.name.as_str(), i)));
    let mut lines: Vec<String> = of_branches.map(|(branch, i)| incident(branch, i, words)).collect();
    if lines.is_empty() {
        // A run that failed before any branch began keeps its incidents to itself.
        lines.extend(outcome.incidents.iter().map(|i| incident("-", i, words)));
    }
    let failed = outcome.status == Status::Failed || outcome.branches.iter().any(|b| b.failure.is_some());
    if lines.is_empty() && failed {
        return Vec::new();
    }
    if lines.is_empty() {
        lines.push(say!(words, "incidents-none"));
    }
    vec![Block::Heading(say!(words, "incidents")), Block::List(lines)]
}

fn incident(branch: &str, incident: &Incident, words: &Words) -> String {
    say!(
        words,
        "incident-line",
        step = count(incident.step, words.lang),
        branch = branch,
        kind = words.incident(&incident.kind),
        detail = words.detail(incident),
        directive = directive(&incident.directive, words),
    )
}

fn directive(directive: &Directive, words: &Words) -> String {
    match directive {
        Directive::Continue => say!(words, "directive-continue"),
        Directive::SkipBatch { .. } => say!(words, "directive-skip"),
        Directive::Adjust { factor, .. } => {
            say!(words, "directive-adjust", factor = fixed(*factor, 2, words.lang))
        }
        Directive::Rewind { steps, .. } => {
            say!(words, "directive-rewind", n = *steps, steps = count(*steps, words.lang))
        }
        Directive::StopEarly { .. } => say!(words, "directive-stop"),
        Directive::Switch { to, .. } => say!(words, "directive-switch", strategy = to.to_string()),
        Directive::FallBack { .. } => say!(words, "directive-fallback"),
    }
}

fn request(run: &Run, words: &Words) -> String {
    let r = &run.request;
    let mut said = say!(
        words,
        "request-line",
        model = label(&r.model),
        candidate = label(&r.candidate),
        bytes = bytes(r.train_bytes, words.lang),
        seed = r.seed.to_string(),
        device = r.device.as_str(),
    );
    if let Some(outcome) = &run.outcome {
        said += " ";
        said += &say!(words, "request-total", total = duration(outcome.seconds, words));
    }
    said
}

fn feedback(feedback: &Feedback, words: &Words) -> String {
    let mut said = Vec::new();
    if let Some(verdict) = feedback.verdict {
        let verdict = crate::report::numbers::signed(verdict, 1, words.lang);
        said.push(say!(words, "feedback-verdict", verdict = verdict));
    }
    if let Some((name, value)) = &feedback.metric {
        said.push(format!("{name} {}", fixed(*value, 4, words.lang)));
    }
    said.extend(feedback.note.clone());
    say!(words, "feedback-line", at = feedback.at.as_str(), said = said.join(", "))
}

fn files(run: &Run, words: &Words) -> Vec<Block> {
    let outcome = run.outcome.as_ref();
    let winner = outcome.and_then(winner);
    let mut places = vec![format!("{}: {}", say!(words, "files-run"), run.request.out)];
    if let Some(folder) = winner.and_then(|b| b.folder.as_ref()) {
        places.push(format!("{}: {}/{folder}", say!(words, "files-model"), run.request.out.trim_end_matches('/')));
    }
    let mut commands = vec![format!("hibrit history show {}", run.id)];
    if let Some(outcome) = outcome {
        let verdict = if outcome.level >= Some(Level::Good) { "1" } else { "-1" };
        commands.push(format!("hibrit history feedback {} --verdict {verdict} --note \"...\"", run.id));
        commands.push("hibrit scorer train".to_string());
    }
    vec![
        Block::Heading(say!(words, "files")),
        Block::List(places),
        Block::Heading(say!(words, "next")),
        Block::Commands(commands),
    ]
}

/// Bits per byte saved against keep, as a cell.
pub(in crate::report) fn saved(run: &Run, words: &Words) -> Cell {
    saving(run.outcome.as_ref().and_then(|o| o.saved_against_keep), words)
}
