//! What does a profile say? First what moving would mean for the text, then both tokenizers side by side, what the
//! model already has of the candidate, how well it can express the rest, and what is gained.

use super::label;
use crate::domain::metric::{Fertility, Pair};
use crate::domain::profile::{MatchCount, Profile};
use crate::report::numbers::{bytes, count, fixed, percent, rough, short};
use crate::report::page::{Bar, Block, Cell, Chart, Page, Table, Tone, left, right};
use crate::report::words::{Words, say};

pub(in crate::report) fn page(profile: &Profile, words: &Words) -> Page {
    let (source, candidate) = (label(&profile.source.name), label(&profile.candidate.name));
    let mut all = vec![Block::Answer(Tone::Strong, answer(profile, words))];
    all.extend(blocks(profile, words));
    all.extend(super::traps::blocks(profile, words));
    Page { title: say!(words, "profile-title", source = source, candidate = candidate), blocks: all }
}

/// Everything but the title and the answer, for pages that rest on a profile.
pub(in crate::report) fn blocks(profile: &Profile, words: &Words) -> Vec<Block> {
    let mut blocks = vec![Block::Heading(say!(words, "gain"))];
    blocks.push(Block::List(gain(profile, words)));
    blocks.push(Block::Heading(say!(words, "profile-tokenizers")));
    blocks.push(Block::Table(tokenizers(profile, words)));
    blocks.extend(corpus(profile, words));
    blocks.extend(profile.fertility.map(|pair| Block::Chart(fertility(pair, profile, words))));
    blocks.push(Block::Heading(say!(words, "coverage")));
    blocks.push(Block::Table(coverage(profile, words)));
    let (true_share, naive) = (profile.coverage.vocabulary.get(), profile.coverage.vocabulary_naive.get());
    if naive < true_share {
        let missed = percent(1.0 - naive / true_share, words.lang);
        blocks.push(Block::Note(say!(words, "coverage-gap", percent = missed)));
    }
    let found: Vec<&MatchCount> = profile.matches.iter().filter(|m| m.types > 0).collect();
    if !found.is_empty() {
        blocks.push(Block::Heading(say!(words, "matches")));
        blocks.push(Block::Table(matches(&found, words)));
        blocks.push(Block::Chart(match_chart(&found, words)));
    }
    blocks.push(Block::Heading(say!(words, "similarity")));
    let basis = words.one_of("basis-means", &profile.similarity.basis.to_string());
    let score = fixed(profile.similarity.score.get(), 2, words.lang);
    blocks.push(Block::Text(say!(words, "similarity-line", score = score, basis = basis)));
    if !profile.similarity.all.is_empty() {
        blocks.push(Block::Table(similarity(profile, words)));
    }
    blocks.extend(model(profile, words));
    if !profile.warnings.0.is_empty() {
        blocks.push(Block::Heading(say!(words, "warnings")));
        blocks.push(Block::List(warnings(profile, words)));
    }
    blocks
}

/// What a person should know before going on, a sentence each.
pub(super) fn warnings(profile: &Profile, words: &Words) -> Vec<String> {
    profile.warnings.0.iter().map(|w| words.because_sentence(w)).collect()
}

/// One sentence: what moving would mean.
pub(in crate::report) fn answer(profile: &Profile, words: &Words) -> String {
    let vocabulary = percent(profile.coverage.vocabulary.get(), words.lang);
    let (Some(ratio), Some(corpus)) = (profile.token_ratio, profile.coverage.corpus) else {
        return say!(words, "profile-answer-bare", vocabulary = vocabulary);
    };
    let change = ratio.get() - 1.0;
    let kind = match change {
        c if c < -0.0005 => "fewer",
        c if c > 0.0005 => "more",
        _ => "same",
    };
    let amount = percent(change.abs(), words.lang);
    let corpus = percent(corpus.get(), words.lang);
    say!(words, "profile-answer", ratio = kind, percent = amount, vocabulary = vocabulary, corpus = corpus)
}

/// What the user gains, a sentence each: tokens saved, context gained.
pub(in crate::report) fn gain(profile: &Profile, words: &Words) -> Vec<String> {
    let mut gains = Vec::new();
    if let Some(Pair { source, candidate }) = profile.fertility {
        let saved = (source.get() - candidate.get()) * 1e6;
        let change = if saved >= 0.0 { "saved" } else { "lost" };
        gains.push(say!(words, "gain-tokens", n = rough(saved, words.lang), change = change));
        if let Some(ratio) = profile.token_ratio {
            let (before, after) = (rough(source.get() * 1e6, words.lang), rough(candidate.get() * 1e6, words.lang));
            let percent = percent((1.0 - ratio.get()).abs(), words.lang);
            gains.push(say!(words, "gain-cost", before = before, after = after, percent = percent, change = change));
        }
    }
    if let Some(ratio) = profile.token_ratio {
        let times = fixed(1.0 / ratio.get(), 2, words.lang);
        gains.push(if ratio.get() <= 1.0 {
            say!(words, "gain-context", times = times)
        } else {
            say!(words, "gain-context-less", times = times)
        });
    }
    if gains.is_empty() {
        gains.push(say!(words, "gain-none"));
    }
    gains
}

fn tokenizers(profile: &Profile, words: &Words) -> Table {
    let lang = words.lang;
    let (s, c) = (&profile.source, &profile.candidate);
    let yes = |b: bool| if b { say!(words, "yes") } else { say!(words, "no") };
    let mut rows = vec![
        [say!(words, "name"), label(&s.name), label(&c.name)],
        [say!(words, "kind"), s.model.clone(), c.model.clone()],
        [say!(words, "alphabet"), s.alphabet.clone(), c.alphabet.clone()],
        [say!(words, "byte-fallback"), yes(s.byte_fallback), yes(c.byte_fallback)],
        [say!(words, "tokens"), count(s.tokens, lang), count(c.tokens, lang)],
        [say!(words, "special-tokens"), count(s.special_tokens, lang), count(c.special_tokens, lang)],
        [say!(words, "rows"), count(s.rows, lang), count(c.rows, lang)],
    ];
    let mut row = |title: String, values: Option<(String, String)>| {
        if let Some((source, candidate)) = values {
            rows.push([title, source, candidate]);
        }
    };
    let two = |source: f64, candidate: f64| (fixed(source, 3, lang), fixed(candidate, 3, lang));
    let share = |source: f64, candidate: f64| (percent(source, lang), percent(candidate, lang));
    row(say!(words, "fertility"), profile.fertility.map(|p| two(p.source.get(), p.candidate.get())));
    row(say!(words, "bytes-per-token"), profile.bytes_per_token.map(|p| two(p.source.get(), p.candidate.get())));
    let tokens = profile.corpus.as_ref().map(|c| (count(c.tokens.source, lang), count(c.tokens.candidate, lang)));
    row(say!(words, "corpus-tokens"), tokens);
    row(say!(words, "unknown-rate"), profile.unknown_rate.map(|p| share(p.source.get(), p.candidate.get())));
    row(say!(words, "unknown-bytes"), profile.unknown_bytes.map(|p| share(p.source.get(), p.candidate.get())));
    row(say!(words, "round-trip"), profile.round_trip.map(|p| share(p.source.get(), p.candidate.get())));
    Table {
        columns: vec![left(String::new()), right(say!(words, "original")), right(say!(words, "candidate"))],
        rows: rows.into_iter().map(|cells| cells.into_iter().map(Cell::from).collect()).collect(),
    }
}

fn fertility(pair: Pair<Fertility>, profile: &Profile, words: &Words) -> Chart {
    let bar = |name: &str, value: Fertility| Bar {
        label: label(name),
        value: value.get(),
        text: fixed(value.get(), 3, words.lang),
    };
    let bars = vec![bar(&profile.source.name, pair.source), bar(&profile.candidate.name, pair.candidate)];
    Chart::Bars { title: say!(words, "chart-fertility"), full: pair.source.get().max(pair.candidate.get()), bars }
}

fn corpus(profile: &Profile, words: &Words) -> Option<Block> {
    let corpus = profile.corpus.as_ref()?;
    let files: Vec<String> = corpus.files.iter().map(|f| label(f)).collect();
    Some(Block::Note(say!(
        words,
        "corpus-line",
        bytes = bytes(corpus.bytes, words.lang),
        n = corpus.lines,
        lines = count(corpus.lines, words.lang),
        words = count(corpus.words, words.lang),
        files = files.join(", "),
    )))
}

fn coverage(profile: &Profile, words: &Words) -> Table {
    let row = |title: String, share: f64, meaning: String, tone: Tone| {
        let share = fixed(share, 4, words.lang);
        vec![Cell::toned(title, tone), Cell::toned(share, tone), Cell::toned(meaning, tone)]
    };
    let c = &profile.coverage;
    let (by_bytes, by_spelling) = (c.vocabulary.get(), c.vocabulary_naive.get());
    let mut rows = vec![
        row(say!(words, "coverage-vocabulary"), by_bytes, say!(words, "coverage-vocabulary-means"), Tone::Plain),
        row(say!(words, "coverage-naive"), by_spelling, say!(words, "coverage-naive-means"), Tone::Muted),
    ];
    if let Some(share) = c.corpus {
        rows.push(row(say!(words, "coverage-corpus"), share.get(), say!(words, "coverage-corpus-means"), Tone::Plain));
    }
    let columns = vec![
        left(say!(words, "coverage-measure")),
        right(say!(words, "coverage-share")),
        left(say!(words, "coverage-meaning")),
    ];
    Table { columns, rows }
}

fn matches(found: &[&MatchCount], words: &Words) -> Table {
    let with_text = found.iter().any(|m| m.occurrences.is_some());
    let row = |m: &&MatchCount| {
        let mut cells = vec![
            words.one_of("match", &m.class.to_string()).into(),
            count(m.types, words.lang).into(),
            percent(m.type_share.get(), words.lang).into(),
        ];
        if with_text {
            cells.push(m.occurrences.map_or_else(|| say!(words, "unknown"), |n| count(n, words.lang)).into());
            cells.push(percent(m.occurrence_share.map_or(f64::NAN, |s| s.get()), words.lang).into());
        }
        cells
    };
    let mut columns = vec![
        left(say!(words, "match-class")),
        right(say!(words, "match-types")),
        right(say!(words, "match-type-share")),
    ];
    if with_text {
        columns.push(right(say!(words, "match-occurrences")));
        columns.push(right(say!(words, "match-occurrence-share")));
    }
    Table { columns, rows: found.iter().map(row).collect() }
}

/// By the text where there is one, by the vocabulary otherwise.
fn match_chart(found: &[&MatchCount], words: &Words) -> Chart {
    let with_text = found.iter().any(|m| m.occurrence_share.is_some());
    let share =
        |m: &MatchCount| if with_text { m.occurrence_share.map_or(0.0, |s| s.get()) } else { m.type_share.get() };
    let bars = found.iter().map(|m| Bar {
        label: words.one_of("match", &m.class.to_string()),
        value: share(m),
        text: percent(share(m), words.lang),
    });
    let title = if with_text { say!(words, "chart-matches-text") } else { say!(words, "chart-matches") };
    Chart::Bars { title, full: 1.0, bars: bars.collect() }
}

fn similarity(profile: &Profile, words: &Words) -> Table {
    let rows = profile.similarity.all.iter().map(|s| {
        let chance = fixed(s.chance.unwrap_or(f64::NAN), 2, words.lang);
        let name = words.one_of("basis", &s.basis.to_string());
        vec![name.into(), fixed(s.score.get(), 3, words.lang).into(), chance.into(), words.because(&s.note).into()]
    });
    let columns = vec![
        left(say!(words, "basis")),
        right(say!(words, "score")),
        right(say!(words, "chance")),
        left(say!(words, "how")),
    ];
    Table { columns, rows: rows.collect() }
}

fn model(profile: &Profile, words: &Words) -> Vec<Block> {
    let Some(model) = &profile.model else { return Vec::new() };
    let lang = words.lang;
    let mut lines = vec![say!(
        words,
        "model-line",
        family = model.family.as_str(),
        parameters = short(model.parameters as f64, lang),
        rows = count(model.embedding_rows, lang),
        hidden = count(model.hidden, lang),
        tied = if model.tied { "yes" } else { "no" },
    )];
    let padding = model.embedding_rows.saturating_sub(profile.source.rows);
    if padding > 0 {
        lines.push(say!(words, "model-padding", n = padding, rows = count(padding, lang)));
    }
    let matrices = if model.tied { 1.0 } else { 2.0 };
    let parameters = |rows: u64| short(rows as f64 * model.hidden as f64 * matrices, lang);
    let (before, after) = (parameters(model.embedding_rows), parameters(profile.candidate.rows));
    lines.push(say!(words, "model-embeddings", before = before, after = after));
    vec![Block::Heading(say!(words, "model-heading")), Block::List(lines)]
}
