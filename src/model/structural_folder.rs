//! A structural model on disk, and text for it: which of its two tokenizers a text, or a span of it, goes through.
//!
//! The folder is the original side as a plain Hugging Face folder, with `structural.json`, `structural.safetensors`
//! (second table, head, bridges) and the second tokenizer's files in `candidate/` beside. Tools that do not know
//! hibrit open it and see the original side.

use super::error::ModelError;
use super::write_complete;
use crate::domain::outcome::Side;
use crate::files::FileError;
use crate::model::evaluate::HeldOut;
use crate::model::{
    Bridges, Decoder, Dtype, Matrix, ModelFolder, SECOND, Weights, held_tensor, write_atomically, write_tensors,
};
use crate::tokenizer::Tokens;
use crate::tokenizer::{Coder, Encoded};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the description.
const DESCRIPTION: &str = "structural.json";
/// Name of the weights, without their ending.
const WEIGHTS: &str = "structural";
/// Folder of the second tokenizer.
pub const CANDIDATE: &str = "candidate";

/// What structural.json says.
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    /// Of the format: 1.
    version: u32,
    /// First id of the second vocabulary.
    first_id: usize,
    /// Its rows.
    rows: usize,
    /// Whether its head is its table.
    tied: bool,
    /// Width inside the bridges.
    rank: usize,
    /// Folder of its tokenizer.
    tokenizer: String,
}

/// Whether a folder holds a structural model.
pub fn is_structural(folder: &Path) -> bool {
    folder.join(DESCRIPTION).is_file()
}

/// Writes a structural model, adapters merged, into a folder, complete.
///
/// # Errors
/// [`ModelError::Mismatch`] where the decoder has no second vocabulary or still has adapters; as [`write_complete`].
pub fn save(
    folder: &Path,
    model: &Decoder,
    base: &ModelFolder,
    original: &Tokens<'_>,
    candidate: &Tokens<'_>,
) -> Result<(), ModelError> {
    let Some(rows) = model.second_rows() else {
        return Err(ModelError::Mismatch("the model has no second vocabulary to save".into()));
    };
    write_complete(folder, model, base, original, false, Dtype::F32)?;
    let mut tensors = Vec::new();
    model.each_parameter(&mut |name, _, held| {
        if let Some(own) = name.strip_prefix(SECOND) {
            tensors.push((own.to_string(), held_tensor(held)));
        }
    });
    let rank = tensors.iter().find(|(name, _)| name == "inward.down.weight").and_then(|(_, t)| t.shape.first());
    let description = Description {
        version: 1,
        first_id: model.config().size.rows,
        rows,
        tied: tensors.iter().all(|(name, _)| name != "lm_head.weight"),
        rank: rank.copied().unwrap_or(0),
        tokenizer: CANDIDATE.into(),
    };
    write_tensors(&folder.join(format!("{WEIGHTS}.safetensors")), &tensors, Dtype::F32)?;
    let place = folder.join(CANDIDATE);
    std::fs::create_dir_all(&place).map_err(FileError::writing(&place))?;
    candidate.files.write_to(&place)?;
    let text = serde_json::to_string_pretty(&description).map_err(|e| ModelError::Mismatch(e.to_string()))?;
    write_atomically(&folder.join(DESCRIPTION), |file| writeln!(file, "{text}"))
}

/// The decoder of a structural folder with its second vocabulary, frozen.
///
/// # Errors
/// A file that is missing or damaged; a tensor that is missing, extra or of another shape than structural.json says.
pub fn attach(folder: &Path, decoder: Decoder) -> Result<Decoder, ModelError> {
    let path = folder.join(DESCRIPTION);
    let text = std::fs::read_to_string(&path).map_err(FileError::reading(&path))?;
    let described: Description =
        serde_json::from_str(&text).map_err(|source| FileError::Json { path: path.clone(), source })?;
    if described.version != 1 {
        let what = format!("it is of version {}, and this build reads version 1", described.version);
        return Err(ModelError::Config { path, what });
    }
    let hidden = decoder.config().size.hidden;
    if described.first_id != decoder.config().size.rows || described.rank == 0 || described.rows == 0 {
        let what = format!(
            "it begins at id {} with {} rows and bridges of rank {}, which does not fit a model of {} rows",
            described.first_id,
            described.rows,
            described.rank,
            decoder.config().size.rows
        );
        return Err(ModelError::Config { path, what });
    }
    let weights = Weights::open(folder, WEIGHTS)?;
    let read = |name: &str, rows: usize, cols: usize| -> Result<Vec<f32>, ModelError> {
        let fault = |what: String| ModelError::Tensor { path: weights.path_of(name).into(), tensor: name.into(), what };
        match weights.shape(name) {
            Some(found) if found == [rows, cols] => weights.read(name),
            Some(found) => Err(fault(format!("has shape {found:?}, but structural.json asks for {:?}", [rows, cols]))),
            None => Err(fault("is missing".into())),
        }
    };
    let matrix = |name: &str| -> Result<Option<Matrix>, ModelError> {
        Ok(Matrix::new(described.rows, hidden, read(name, described.rows, hidden)?))
    };
    let wrong = || ModelError::Mismatch("a second vocabulary of a wrong size".into());
    let table = matrix("embed_tokens.weight")?.ok_or_else(wrong)?;
    let head = if described.tied { None } else { matrix("lm_head.weight")? };
    let known = 5 + usize::from(!described.tied);
    let mut bridges = Vec::new();
    for bridge in ["inward", "outward"] {
        bridges.push(read(&format!("{bridge}.down.weight"), described.rank, hidden)?);
        bridges.push(read(&format!("{bridge}.up.weight"), hidden, described.rank)?);
    }
    if let Some(extra) = weights.names().filter(|name| !KNOWN.contains(name)).chain(weights.names().skip(known)).next()
    {
        return Err(ModelError::Tensor {
            path: weights.path_of(extra).into(),
            tensor: extra.into(),
            what: "is not part of what structural.json describes".into(),
        });
    }
    let model = decoder.with_second(table, head, Bridges { rank: described.rank, seed: 0 })?;
    Ok(model.with_bridges(bridges).train_second(false))
}

/// Names of all tensors that may be there.
const KNOWN: [&str; 6] = [
    "embed_tokens.weight",
    "lm_head.weight",
    "inward.down.weight",
    "inward.up.weight",
    "outward.down.weight",
    "outward.up.weight",
];

/// Which tokenizer text goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum View {
    /// The original.
    #[default]
    Original,
    /// The candidate.
    Candidate,
    /// Span by span (a sentence, a line) whichever writes it in fewer tokens without losing anything.
    Auto,
}

/// Both tokenizers of a structural model, the second's ids moved behind the first's rows.
pub struct Views<'a> {
    original: &'a Coder,
    candidate: Coder,
}

/// A document as ids of both vocabularies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewed {
    /// Ids, the bytes each stands for, bytes lost.
    pub encoded: Encoded,
    /// Spans between which the view was chosen; 0 where there was no choice.
    pub choices: usize,
    /// The view of the last span.
    pub last: Side,
}

impl<'a> Views<'a> {
    /// `candidate` as it is for itself; `model` says where its ids begin.
    pub fn new(original: &'a Coder, candidate: Coder, model: &Decoder) -> Self {
        Self { original, candidate: candidate.shifted(model.first_id(Side::Candidate)) }
    }

    /// The tokenizer of a side, with ids as the model knows them: for packing training text as for evaluating.
    pub fn coder(&self, side: Side) -> &Coder {
        match side {
            Side::Source => self.original,
            Side::Candidate => &self.candidate,
        }
    }

    /// A document in a view.
    ///
    /// # Errors
    /// Where a tokenizer fails.
    pub fn encode(&self, view: View, document: &str) -> Result<Viewed, ModelError> {
        let whole = |side: Side| -> Result<Viewed, ModelError> {
            Ok(Viewed { encoded: self.coder(side).encode_one(document)?, choices: 0, last: side })
        };
        match view {
            View::Original => whole(Side::Source),
            View::Candidate => whole(Side::Candidate),
            View::Auto => self.by_spans(document),
        }
    }

    fn by_spans(&self, document: &str) -> Result<Viewed, ModelError> {
        let mut chosen: Vec<(Side, String)> = Vec::new();
        let mut choices = 0;
        for span in spans(document) {
            let cost = |side: Side| -> Result<(u64, usize), ModelError> {
                let encoded = self.coder(side).encode_one(span)?;
                Ok((encoded.lost, encoded.ids.len()))
            };
            let side = if cost(Side::Candidate)? < cost(Side::Source)? { Side::Candidate } else { Side::Source };
            choices += 1;
            match chosen.last_mut() {
                Some((last, text)) if *last == side => text.push_str(span),
                _ => chosen.push((side, span.to_string())),
            }
        }
        let mut encoded = Encoded::default();
        for (side, text) in &chosen {
            let part = self.coder(*side).encode_one(text)?;
            encoded.ids.extend(part.ids);
            encoded.bytes.extend(part.bytes);
            encoded.lost += part.lost;
        }
        Ok(Viewed { encoded, choices, last: chosen.last().map_or(Side::Source, |c| c.0) })
    }

    /// Held-out documents in a view. With [`View::Auto`] each document begins with the original's opener, and every choice
    /// is charged one bit: whoever reads the tokens has to be told which vocabulary they are of.
    ///
    /// # Errors
    /// As [`HeldOut::new`].
    pub fn held_out<S: AsRef<str> + Sync>(
        &self,
        view: View,
        documents: &[S],
        source_tokens: u64,
        window: usize,
    ) -> Result<HeldOut, ModelError> {
        let viewed: Vec<Viewed> =
            documents.par_iter().map(|d| self.encode(view, d.as_ref())).collect::<Result<_, _>>()?;
        let opener = self.coder(if view == View::Candidate { Side::Candidate } else { Side::Source }).opener();
        let bytes = documents.iter().map(|d| d.as_ref().len() as u64).collect();
        let choices: Vec<usize> = viewed.iter().map(|v| v.choices).collect();
        let encoded: Vec<Encoded> = viewed.into_iter().map(|v| v.encoded).collect();
        Ok(HeldOut::of(&encoded, opener, bytes, source_tokens, window)?.charging_choices(&choices))
    }
}

/// Sentences and lines, with what ends them and the space after; together they are the document.
fn spans(document: &str) -> Vec<&str> {
    let mut spans = Vec::new();
    let (mut start, mut ended) = (0, false);
    for (at, c) in document.char_indices() {
        if ended && !c.is_whitespace() {
            spans.push(&document[start..at]);
            (start, ended) = (at, false);
        }
        let next_is_space = document[at + c.len_utf8()..].chars().next().is_none_or(char::is_whitespace);
        ended |= c == '\n' || (matches!(c, '.' | '!' | '?' | '…') && next_is_space);
    }
    if start < document.len() {
        spans.push(&document[start..]);
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::{BpeKind, coder_for_tests};

    const ENGLISH: [&str; 2] = ["the cat sat on the mat", "the dog sat on the cat"];
    const TURKISH: [&str; 2] = ["kedi paspasın üstünde oturdu", "köpek kedinin üstünde oturdu"];

    #[test]
    fn spans_are_sentences_and_lines_and_together_the_document() {
        let text = "One. Two! 3.14 is three?\nnext line … end";
        assert_eq!(spans(text), ["One. ", "Two! ", "3.14 is three?\n", "next line … ", "end"]);
        assert_eq!(spans(text).concat(), text);
        assert!(spans("").is_empty());
    }

    #[test]
    fn each_span_goes_through_the_tokenizer_that_writes_it_shorter() {
        let english = coder_for_tests(BpeKind::ByteLevel, &ENGLISH, 330);
        let turkish = coder_for_tests(BpeKind::ByteLevel, &TURKISH, 330).shifted(1000);
        let views = Views { original: &english, candidate: turkish };
        let text = "the cat sat on the mat. köpek kedinin üstünde oturdu. the dog sat.";
        let auto = views.encode(View::Auto, text).unwrap();
        assert_eq!(auto.encoded.bytes.iter().sum::<u32>() as usize, text.len());
        let sides: Vec<bool> = auto.encoded.ids.iter().map(|id| *id >= 1000).collect();
        let mut runs = sides.clone();
        runs.dedup();
        assert_eq!((runs, auto.choices, auto.last), (vec![false, true, false], 3, Side::Source));
        let alone = |view| views.encode(view, text).unwrap().encoded.ids.len();
        assert!(auto.encoded.ids.len() < alone(View::Original).min(alone(View::Candidate)));
        let own = views.encode(View::Candidate, text).unwrap();
        assert_eq!(views.coder(Side::Candidate).decode(&own.encoded.ids).unwrap(), text);
    }

    #[test]
    fn documents_of_both_tokenizers_train_one_model_through_the_trainer() {
        use crate::domain::event::Silent;
        use crate::domain::strategy::{Checkpointing, LrSchedule, Precision, StageConfig};
        use crate::model::{Dimensions, LoraConfig, ModelConfig};
        use crate::tokenizer::Document;
        use crate::train::{self, NoopReviewer, Plan, TrainCallbacks};
        let repeated = |lines: [&str; 2]| lines.iter().cycle().take(30).map(ToString::to_string).collect::<Vec<_>>();
        let (english, turkish) = (repeated(ENGLISH), repeated(TURKISH));
        let old = coder_for_tests(BpeKind::ByteLevel, &ENGLISH, 300);
        let new = coder_for_tests(BpeKind::ByteLevel, &TURKISH, 310);
        let (rows, hidden) = (old.rows(), 16);
        let size = Dimensions {
            rows,
            hidden,
            intermediate: 32,
            layers: 1,
            heads: 2,
            kv_heads: 1,
            head_dim: 8,
            positions: 128,
            tied: true,
        };
        let base = Decoder::init(&ModelConfig::qwen3(size).unwrap(), &burn::tensor::Device::flex(), 2).unwrap();
        let table = (0..new.rows() * hidden).map(|i| ((i * 29 + 3) % 31) as f32 * 0.002 - 0.03).collect();
        let table = Matrix::new(new.rows(), hidden, table).unwrap();
        let model = base.with_second(table, None, Bridges { rank: 4, seed: 1 }).unwrap();
        let model = model.with_lora(&LoraConfig::everywhere(4, 8.0, 0.0), 1);
        let views = Views::new(&old, new, &model);
        let held_out = [View::Original, View::Candidate].map(|view| {
            let text = if view == View::Original { &english } else { &turkish };
            views.held_out(view, &text[..2], 20, 256).unwrap()
        });
        let bits =
            |model: &Decoder| held_out.each_ref().map(|h| h.evaluate(model).unwrap().evaluation.bits_per_byte.get());
        let before = bits(&model);
        let document =
            |view: View, text: &String| Document { encoded: views.encode(view, text).unwrap().encoded, learnt: None };
        let documents = english.iter().map(|t| document(View::Original, t));
        let documents = documents.chain(turkish.iter().map(|t| document(View::Candidate, t))).collect();
        let data = train::PackedDataset::documents(&old, documents, 24, 3).unwrap();
        let stage = StageConfig {
            rank: 4,
            alpha: 8.0,
            dropout: 0.0,
            learning_rate: 1e-2,
            embedding_learning_rate: None,
            warmup: 0.1,
            epochs: 6.0,
            batch: 4,
            accumulation: 1,
            weight_decay: 0.0,
            sequence: 24,
            train_embeddings: false,
            head_learning_rate: None,
            schedule: LrSchedule::Cosine,
            checkpointing: Checkpointing::OFF,
            base: Precision::F32,
        };
        let stop = std::sync::atomic::AtomicBool::new(false);
        let mut callbacks = TrainCallbacks {
            reviewer: &mut NoopReviewer,
            observer: &mut Silent,
            stop: &stop,
            clock: &std::time::Instant::now(),
        };
        let fitted = train::fit(model, &data, None, &Plan::new(stage, 1), &mut callbacks).unwrap();
        let after = bits(&fitted.model);
        // The second vocabulary is trained with its bridges, the first keeps its frozen random table and learns through
        // the adapters alone.
        assert!(after[1] < 0.7 * before[1], "{before:?} {after:?}");
        assert!(after[0] < before[0], "{before:?} {after:?}");
        let (first, _) = fitted.model.embeddings().unwrap();
        assert_eq!(first.rows(), rows, "the first table is not the second's");
    }
}
