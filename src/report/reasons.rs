//! How is a reason said in a language of the reports? In English its own sentence is taken, which JSON has too; every
//! other language has a sentence for it in its `.ftl` file. A record of before reasons were values has only English.

use super::numbers::{count, exact, fixed, percent, whole_percent};
use super::words::{Words, say, sentence};
use crate::domain::details::{DigitPolicy, Trap};
use crate::domain::language::{Lang, Wording};
use crate::domain::outcome::{Branch, Incident, IncidentKind, Side};
use crate::domain::reason::{
    Authority, Because, DecisionReason, Edge, LookReason, Rejection, ReviewReason, ScorerReason, Signal,
    SimilarityMethod, TrapExample, TrapFinding, VerdictReason, Warning, WinReason,
};
use crate::domain::strategy::SeedExpectation;
use std::fmt::Display;

/// What has an English sentence, and one in every other language.
pub(super) trait Worded: Display {
    /// In a language other than English.
    fn translated(&self, words: &Words) -> String;
}

impl Words {
    /// A reason in this language, as a part of a sentence.
    pub(super) fn worded(&self, reason: &impl Worded) -> String {
        if self.lang == Lang::En { reason.to_string() } else { reason.translated(self) }
    }

    /// The same of one that may be known by its English sentence alone.
    pub(super) fn because(&self, because: &Because<impl Worded>) -> String {
        match because {
            Because::Known(reason) => self.worded(reason),
            Because::Said(sentence) => sentence.clone(),
        }
    }

    /// The same as a whole sentence.
    pub(super) fn because_sentence(&self, because: &Because<impl Worded>) -> String {
        let lang = if because.known().is_some() { self.lang } else { Lang::En };
        sentence(&self.because(because), lang)
    }

    /// What a row's author says in this language, or in English.
    pub(super) fn wording(&self, wording: &Wording) -> String {
        wording.in_language(self.lang).to_string()
    }

    /// What a strategy needs, as the seed has it.
    pub(super) fn needs(&self, seed: &SeedExpectation) -> String {
        seed.translated.get(&self.lang).unwrap_or(&seed.resources).clone()
    }

    /// What kind of incident.
    pub(super) fn incident(&self, kind: &IncidentKind) -> String {
        match kind {
            IncidentKind::Other(name) => name.replace('_', " "),
            known => self.one_of("incident", &known.to_string()),
        }
    }

    /// Why a branch failed: what it was given up for, or the error it ended with.
    pub(super) fn failure(&self, branch: &Branch) -> Option<String> {
        let failure = branch.failure.as_ref()?;
        let given_up = branch.incidents.last().and_then(|i| i.directive.because());
        let given_up = given_up.filter(|because| because.to_string() == *failure);
        Some(given_up.map_or_else(|| failure.clone(), |because| self.because(because)))
    }

    /// What exactly an incident was.
    pub(super) fn detail(&self, incident: &Incident) -> String {
        let Some(reason) = incident.directive.because().and_then(Because::known) else {
            return incident.detail.clone();
        };
        let reason = self.worded(reason);
        match incident.measured {
            _ if self.lang == Lang::En => incident.detail.clone(),
            Some(m) => {
                let (loss, norm) = (number(m.loss, self), number(m.gradient_norm, self));
                say!(self, "incident-measured", loss = loss, norm = norm, reason = reason)
            }
            None => reason,
        }
    }

    /// What a trap is, with its example.
    pub(super) fn trap(&self, trap: &Trap) -> String {
        let mut what = self.because_sentence(&trap.finding);
        let example = trap.shown.as_ref().map(|shown| self.worded(shown)).or_else(|| trap.example.clone());
        if let Some(example) = example {
            what.push_str(&format!(" {}", say!(self, "trap-example", example = example)));
        }
        what
    }

    /// What to do about a trap.
    pub(super) fn advice(&self, trap: &Trap) -> String {
        match trap.finding.known() {
            Some(finding) if self.lang != Lang::En => {
                let kind: &str = finding.into();
                sentence(&self.say(&format!("trap-advice-{kind}"), &[]), self.lang)
            }
            _ => sentence(&trap.advice, Lang::En),
        }
    }
}

/// A measured number, which may not be finite.
fn number(value: f64, words: &Words) -> String {
    if value.is_finite() { fixed(value, 4, words.lang) } else { value.to_string() }
}

impl Worded for DecisionReason {
    fn translated(&self, w: &Words) -> String {
        match self {
            Self::Situation { strategy, row } => {
                say!(w, "reason-situation", strategy = strategy.to_string(), why = w.wording(row))
            }
            Self::Matrix { strategy, row } => {
                say!(w, "reason-matrix", strategy = strategy.to_string(), why = w.wording(row))
            }
            Self::MatrixVetoed { matrix, strategy } => {
                say!(w, "reason-matrix-vetoed", matrix = matrix.as_str(), strategy = strategy.to_string())
            }
            Self::Evidence { strategy, rules } => {
                say!(w, "reason-evidence", strategy = strategy.to_string(), rules = rules.to_string())
            }
            Self::Unsure { reason, confidence, safest } => {
                let (reason, confidence) = (w.worded(reason.as_ref()), whole_percent(*confidence, w.lang));
                match safest {
                    Some(safest) => {
                        let safest = safest.to_string();
                        say!(w, "reason-unsure", reason = reason, confidence = confidence, safest = safest)
                    }
                    None => say!(w, "reason-unsure-safest", reason = reason, confidence = confidence),
                }
            }
        }
    }
}

impl Worded for Authority {
    fn translated(&self, w: &Words) -> String {
        match self {
            Self::Situation => say!(w, "authority-situation"),
            Self::Matrix => say!(w, "authority-matrix"),
            Self::Evidence => say!(w, "authority-evidence"),
        }
    }
}

impl Worded for Rejection {
    fn translated(&self, w: &Words) -> String {
        match self {
            Self::Vetoed { rows } => rows.iter().map(|row| w.wording(row)).collect::<Vec<_>>().join("; "),
            Self::Unsure { confidence } => {
                say!(w, "rejection-unsure", confidence = whole_percent(*confidence, w.lang))
            }
            Self::LastResort => say!(w, "rejection-last-resort"),
            Self::ForQuality => say!(w, "rejection-for-quality"),
            Self::Less { by, than } => {
                say!(w, "rejection-less", by = fixed(*by, 3, w.lang), than = than.to_string())
            }
            Self::NotEnough { by, than, against } => {
                let (by, than, against) = (fixed(*by, 3, w.lang), than.to_string(), w.worded(against));
                say!(w, "rejection-not-enough", by = by, than = than, against = against)
            }
        }
    }
}

impl Worded for ScorerReason {
    fn translated(&self, w: &Words) -> String {
        let number = |n: &u64| count(*n, w.lang);
        match self {
            Self::NoScorer => say!(w, "scorer-none"),
            Self::RulesBest => say!(w, "scorer-rules-best"),
            Self::TooFew { branches, least } => {
                say!(w, "scorer-too-few", branches = number(branches), least = number(least))
            }
            Self::Moved { branches, from, to } => {
                let (from, to) = (from.to_string(), to.to_string());
                say!(w, "scorer-moved", branches = number(branches), from = from, to = to)
            }
            Self::SituationStands => say!(w, "scorer-situation-stands"),
            Self::WithinError { strategy, by, branches } => {
                let (strategy, by) = (strategy.to_string(), fixed(*by, 3, w.lang));
                say!(w, "scorer-within-error", strategy = strategy, by = by, branches = number(branches))
            }
            Self::Agrees { branches } => say!(w, "scorer-agrees", branches = number(branches)),
        }
    }
}

impl Worded for WinReason {
    fn translated(&self, w: &Words) -> String {
        let loss = |value: &f64| fixed(*value, 4, w.lang);
        match self {
            Self::Within { candidate, tolerance, safe } => {
                let (candidate, tolerance, safe) = (loss(candidate), exact(*tolerance, w.lang), loss(safe));
                say!(w, "win-within", candidate = candidate, tolerance = tolerance, safe = safe)
            }
            Self::Above { candidate, limit, tolerance, safe } => {
                let (candidate, limit, safe) = (loss(candidate), loss(limit), loss(safe));
                let tolerance = exact(*tolerance, w.lang);
                say!(w, "win-above", candidate = candidate, limit = limit, tolerance = tolerance, safe = safe)
            }
            Self::CandidateFailed => say!(w, "win-candidate-failed"),
            Self::SafeFailed => say!(w, "win-safe-failed"),
            Self::BothFailed => say!(w, "win-both-failed"),
        }
    }
}

impl Worded for VerdictReason {
    fn translated(&self, w: &Words) -> String {
        match self {
            Self::Race { winner, reason } => {
                say!(w, "verdict-race", winner = winner.as_str(), reason = w.worded(reason))
            }
            Self::Trained { branch, failed } if failed.is_empty() => {
                say!(w, "verdict-trained", branch = branch.as_str())
            }
            Self::Trained { branch, failed } => {
                say!(w, "verdict-trained-others-failed", branch = branch.as_str(), failed = failed.join(", "))
            }
            Self::OnlyStep { branch } => say!(w, "verdict-only-step", branch = branch.as_str()),
            Self::NoModel => say!(w, "verdict-no-model"),
            Self::BelowBase { reason, after, base } => {
                let (after, base) = (fixed(*after, 4, w.lang), fixed(*base, 4, w.lang));
                say!(w, "verdict-below-base", reason = w.worded(reason.as_ref()), after = after, base = base)
            }
            Self::Failed { error } => say!(w, "verdict-error", error = error.as_str()),
            Self::Interrupted => say!(w, "verdict-interrupted"),
        }
    }
}

impl Worded for Signal {
    fn translated(&self, w: &Words) -> String {
        match self {
            Self::Loss => say!(w, "signal-loss"),
            Self::GradientNorm => say!(w, "signal-gradient-norm"),
        }
    }
}

impl Worded for ReviewReason {
    fn translated(&self, w: &Words) -> String {
        let value = |x: &f64| number(*x, w);
        match self {
            Self::NonFinite { loss, gradient_norm } => {
                say!(w, "review-non-finite", loss = value(loss), norm = value(gradient_norm))
            }
            Self::NeverApplied => say!(w, "review-never-applied"),
            Self::Explosion { gradient_norm, limit } => {
                let (norm, limit) = (fixed(*gradient_norm, 3, w.lang), fixed(*limit, 3, w.lang));
                say!(w, "review-explosion", norm = norm, limit = limit)
            }
            Self::Spike { signal, value: at, limit, sigmas } => {
                let (signal, sigmas) = (w.worded(signal), exact(*sigmas, w.lang));
                say!(w, "review-spike", signal = signal, value = value(at), limit = value(limit), sigmas = sigmas)
            }
            Self::LeftBest { smooth, factor, best } => {
                let factor = exact(*factor, w.lang);
                say!(w, "review-left-best", smooth = value(smooth), factor = factor, best = value(best))
            }
            Self::AboveBest { smooth, limit, sigmas, steps } => {
                let (smooth, limit, sigmas) = (value(smooth), value(limit), exact(*sigmas, w.lang));
                let steps = count(*steps, w.lang);
                say!(w, "review-above-best", smooth = smooth, limit = limit, sigmas = sigmas, steps = steps)
            }
            Self::TooManySkips { skipped, window, last } => {
                let (skipped, window) = (count(*skipped, w.lang), count(*window, w.lang));
                say!(w, "review-too-many-skips", skipped = skipped, window = window, last = w.worded(last.as_ref()))
            }
            Self::Incident { nth, stranded, reason } => {
                let (nth, reason) = (count(*nth, w.lang), w.worded(reason.as_ref()));
                if *stranded {
                    say!(w, "review-incident-stranded", nth = nth, reason = reason)
                } else {
                    say!(w, "review-incident", nth = nth, reason = reason)
                }
            }
            Self::AfterIncident { step } => say!(w, "review-after-incident", step = count(*step, w.lang)),
            Self::Unpromising { held_out, expected, incumbent, chance } => {
                let (now, expected, incumbent) = (value(held_out), value(expected), value(incumbent));
                let chance = fixed(*chance, 2, w.lang);
                say!(w, "review-unpromising", now = now, expected = expected, incumbent = incumbent, chance = chance)
            }
            Self::OutOfMemory { error, lighter } => {
                say!(w, "review-out-of-memory", error = error.as_str(), lighter = lighter.as_str())
            }
            Self::Race { look } => say!(w, "review-race", look = w.worded(look)),
        }
    }
}

impl Worded for LookReason {
    fn translated(&self, w: &Words) -> String {
        let branch = |loser: &Side| match loser {
            Side::Source => say!(w, "look-safe"),
            Side::Candidate => say!(w, "look-candidate"),
        };
        let p = |p: &f64| fixed(*p, 4, w.lang);
        match self {
            Self::NoneLeft => say!(w, "look-none-left"),
            Self::NotDue { share } => say!(w, "look-not-due", share = percent(*share, w.lang)),
            Self::WarmingUp => say!(w, "look-warming-up"),
            Self::NoDifference => say!(w, "look-no-difference"),
            Self::NotSignificant { p: found, documents, level } => {
                let (documents, level) = (count(*documents, w.lang), exact(*level, w.lang));
                say!(w, "look-not-significant", p = p(found), documents = documents, level = level)
            }
            Self::TooShort { loser, p: found } => say!(w, "look-too-short", loser = branch(loser), p = p(found)),
            Self::MayWin { loser, p: found, chance } => {
                let chance = fixed(*chance, 2, w.lang);
                say!(w, "look-may-win", loser = branch(loser), p = p(found), chance = chance)
            }
            Self::Lost { loser, p: found, chance } => {
                let chance = fixed(*chance, 2, w.lang);
                say!(w, "look-lost", loser = branch(loser), p = p(found), chance = chance)
            }
            Self::Said { sentence } => sentence.clone(),
        }
    }
}

impl Worded for Warning {
    fn translated(&self, w: &Words) -> String {
        let share = |share: &f64, decimals: usize| fixed(share * 100.0, decimals, w.lang);
        match self {
            Self::NoByteFallback => say!(w, "warning-no-byte-fallback"),
            Self::UnknownBytes { share: s } => say!(w, "warning-unknown-bytes", share = share(s, 4)),
            Self::NotRoundTrip { share: s } => say!(w, "warning-not-round-trip", share = share(s, 2)),
            Self::Leak { share: s } => say!(w, "warning-leak", share = share(s, 1)),
        }
    }
}

impl Worded for SimilarityMethod {
    fn translated(&self, w: &Words) -> String {
        match self {
            Self::Surface { by_occurrence: true } => say!(w, "method-surface-by-occurrence"),
            Self::Surface { by_occurrence: false } => say!(w, "method-surface"),
            Self::Contextual { tokens } => say!(w, "method-contextual", tokens = count(*tokens, w.lang)),
            Self::Reconstruction { tokens, cosine, chance } => {
                let (tokens, cosine) = (count(*tokens, w.lang), fixed(*cosine, 3, w.lang));
                let chance = fixed(*chance, 3, w.lang);
                say!(w, "method-reconstruction", tokens = tokens, cosine = cosine, chance = chance)
            }
        }
    }
}

impl Worded for TrapFinding {
    fn translated(&self, w: &Words) -> String {
        let n = |n: &u64| count(*n, w.lang);
        let share = |share: &f64, decimals: usize| fixed(share * 100.0, decimals, w.lang);
        let digits = |policy: &DigitPolicy| w.one_of("digits", &policy.to_string());
        match self {
            Self::UnknownCharacters { tokens, share: s } => {
                say!(w, "trap-unknown-characters", tokens = n(tokens), share = share(s, 4))
            }
            Self::RoundTrip { share: s } => say!(w, "trap-round-trip", share = share(s, 2)),
            Self::NoByteFallback => say!(w, "trap-no-byte-fallback"),
            Self::CaseLost => say!(w, "trap-case-lost"),
            Self::TurkishI => say!(w, "trap-turkish-i"),
            Self::AccentsLost => say!(w, "trap-accents-lost"),
            Self::Nfc => say!(w, "trap-nfc"),
            Self::Nfkc => say!(w, "trap-nfkc"),
            Self::WhiteSpace => say!(w, "trap-white-space"),
            Self::LineEnds => say!(w, "trap-line-ends"),
            Self::Tabs => say!(w, "trap-tabs"),
            Self::Apostrophes => say!(w, "trap-apostrophes"),
            Self::Unreachable { tokens, share: s } => {
                say!(w, "trap-unreachable", tokens = n(tokens), share = share(s, 2))
            }
            Self::Unused { tokens, share: s } => say!(w, "trap-unused", tokens = n(tokens), share = share(s, 1)),
            Self::AddedLetters { tokens } => say!(w, "trap-added-letters", tokens = n(tokens)),
            Self::Holes { ids } => say!(w, "trap-holes", ids = n(ids)),
            Self::DigitPolicy { before, after } => {
                say!(w, "trap-digit-policy", before = digits(before), after = digits(after))
            }
            Self::SequenceMarks { only, edge } => {
                let only = match only {
                    Side::Source => say!(w, "original"),
                    Side::Candidate => say!(w, "candidate"),
                };
                match edge {
                    Edge::Beginning => say!(w, "trap-beginning-mark", only = only),
                    Edge::End => say!(w, "trap-end-mark", only = only),
                }
            }
            Self::Template { edge, original, candidate } => {
                let named = |token: &Option<String>| token.clone().unwrap_or_else(|| say!(w, "nothing"));
                let (original, candidate) = (named(original), named(candidate));
                match edge {
                    Edge::Beginning => say!(w, "trap-template-before", original = original, candidate = candidate),
                    Edge::End => say!(w, "trap-template-after", original = original, candidate = candidate),
                }
            }
            Self::Roles { padding: true, unknown: true } => say!(w, "trap-no-padding-no-unknown"),
            Self::Roles { padding: true, unknown: false } => say!(w, "trap-no-padding"),
            Self::Roles { padding: false, .. } => say!(w, "trap-no-unknown"),
            Self::ChatMarks => say!(w, "trap-chat-marks"),
            Self::ManyControlTokens { tokens } => say!(w, "trap-many-control-tokens", tokens = n(tokens)),
            Self::PaddingRows { rows, tokens } => {
                let padding = n(&rows.saturating_sub(*tokens));
                say!(w, "trap-padding-rows", rows = n(rows), tokens = n(tokens), padding = padding)
            }
            Self::TooFewRows { rows, tokens } => say!(w, "trap-too-few-rows", rows = n(rows), tokens = n(tokens)),
        }
    }
}

impl Worded for TrapExample {
    fn translated(&self, w: &Words) -> String {
        let times = |times: &u64| count(*times, w.lang);
        let quoted = |text: &str| format!("{text:?}");
        match self {
            Self::Text { text, times: n } => say!(w, "example-text", text = quoted(text), times = times(n)),
            Self::ComesBack { text, back, times: None } => {
                say!(w, "example-comes-back", text = quoted(text), back = quoted(back))
            }
            Self::ComesBack { text, back, times: Some(n) } => {
                say!(w, "example-comes-back-often", text = quoted(text), back = quoted(back), times = times(n))
            }
            Self::Written { text, tokens } => {
                say!(w, "example-written", text = quoted(text), tokens = tokens.as_str())
            }
            Self::Tokens { tokens } => tokens.clone(),
            Self::Cuts { token, text, tokens } => {
                let (token, text) = (quoted(token), quoted(text));
                say!(w, "example-cuts", token = token, text = text, tokens = tokens.as_str())
            }
            Self::Id { id } => say!(w, "example-id", id = id.to_string()),
            Self::Differs { text, before, after } => {
                let text = quoted(text);
                say!(w, "example-differs", text = text, before = before.as_str(), after = after.as_str())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::strategy::Strategy;
    use std::collections::BTreeSet;
    use strum::{IntoEnumIterator, VariantNames};

    #[track_caller]
    fn check(reason: impl Worded, expected: &str) {
        assert_eq!(Words::new(Lang::Tr).worded(&reason), expected);
    }

    #[test]
    fn reasons_are_said_in_turkish_with_their_numbers() {
        let row = |text: &str, tr: &str| Wording { text: text.into(), translated: [(Lang::Tr, tr.into())].into() };
        let stages = DecisionReason::Matrix {
            strategy: Strategy::Sequential,
            row: row("enough is shared", "dili aşama aşama taşımaya yetecek kadar ortak dağarcık var"),
        };
        check(stages, "matris sequential diyor: dili aşama aşama taşımaya yetecek kadar ortak dağarcık var");
        check(
            Rejection::Less { by: 0.101, than: Strategy::Sequential },
            "bayt başına 0,101 bit daha az kazandırması bekleniyor; karşılaştırılan: sequential",
        );
        let either = DecisionReason::Matrix {
            strategy: Strategy::Parallel,
            row: row("it may go either way", "iki yöne de gidebilir"),
        };
        check(
            DecisionReason::Unsure { reason: Box::new(either), confidence: 0.62, safest: Some(Strategy::Keep) },
            "matris parallel diyor: iki yöne de gidebilir; ama bundan yalnızca %62 emin olunabiliyor, bu yüzden \
             uygulanabilir en güvenli yol olarak keep seçildi",
        );
        let within = WinReason::Within { candidate: 2.9482, tolerance: 1.2, safe: 6.2335 };
        check(
            VerdictReason::Race { winner: "b".into(), reason: within },
            "kazanan b: adayın kaybı 2,9482, güvenli kola tanınan 1,2 kat payın içinde; güvenli kolun kaybı 6,2335",
        );
        check(
            VerdictReason::Trained { branch: "a".into(), failed: vec!["b".into()] },
            "eğitilen kol: a; başarısız olan: b",
        );
    }

    #[test]
    fn a_record_of_before_reasons_were_values_is_shown_as_it_was_said() {
        let (en, tr) = (Words::new(Lang::En), Words::new(Lang::Tr));
        let said = Because::<DecisionReason>::Said("its own rule".into());
        assert_eq!((en.because_sentence(&said), tr.because(&said)), ("Its own rule.".into(), "its own rule".into()));
        assert_eq!(tr.because_sentence(&said), "Its own rule.");
        assert_eq!(en.because_sentence(&Because::<DecisionReason>::NOTHING), "");
        assert_eq!(sentence("ilk satır", Lang::Tr), "İlk satır.");
    }

    #[test]
    fn what_a_row_says_is_english_where_its_author_gave_no_other() {
        assert_eq!(Words::new(Lang::Tr).wording(&"there is no device".into()), "there is no device");
    }

    /// Keys that only languages other than English have: those of this file.
    fn own_keys() -> BTreeSet<String> {
        let code = include_str!("reasons.rs").split("#[cfg(test)]").next().unwrap_or_default();
        let said = code.split("say!(").skip(1).filter_map(|call| call.split('"').nth(1)).map(str::to_string);
        said.chain(TrapFinding::VARIANTS.iter().map(|kind| format!("trap-advice-{kind}"))).collect()
    }

    #[test]
    fn every_language_but_english_has_a_sentence_for_every_reason_and_none_besides() {
        let english = crate::report::words::keys(Lang::En);
        for lang in Lang::iter().filter(|lang| *lang != Lang::En) {
            let keys = crate::report::words::keys(lang);
            let own: BTreeSet<String> = own_keys().difference(&english).cloned().collect();
            let more: BTreeSet<String> = keys.difference(&english).cloned().collect();
            assert_eq!(more, own, "{lang}");
        }
    }
}
