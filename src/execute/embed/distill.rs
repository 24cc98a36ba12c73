//! `distill`: rows that are no copies are trained until the model says of the new tokens what it said of the old ones
//! (Dobler 2025). The teacher is the model as it was, reading the old tokens; the student the same model reading the new
//! ones. Where a new and an old token end at the same byte, the student's last hidden state is drawn to the teacher's
//! (squared difference). The paper leaves the output side to other methods; here the same rows, or those of the head,
//! are trained to predict the text as well (cross-entropy), since a token nobody predicts is of no use. Nothing but
//! those rows changes.

use super::transplant::is_copy;
use super::{Moved, Texts};
use crate::execute::ExecuteError;
use crate::execute::model::{Batch, Decoder, IGNORE, Matrix, StepOptions};
use crate::execute::tokenizer::{Coder, Encoded};
use burn::tensor::Tensor;

/// How rows are distilled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distilling {
    /// Bytes of text that are read. Default 1 MB.
    pub bytes: usize,
    /// Bytes of a snippet. Default 256.
    pub snippet: usize,
    /// Snippets at once. Default 16.
    pub batch: usize,
    /// Largest step of a number, as a share of the rows' root mean square. Default 0.03.
    pub rate: f64,
    /// Seed of the snippets' order.
    pub seed: u64,
}

impl Default for Distilling {
    fn default() -> Self {
        Self { bytes: 1 << 20, snippet: 256, batch: 16, rate: 0.03, seed: 0 }
    }
}

/// Trains the rows of `input` and `output` that are no copies.
///
/// # Errors
/// [`ExecuteError::Data`] where there is no text or no model; as [`Decoder::step`].
pub fn distill(
    input: &mut Moved,
    mut output: Option<&mut Moved>,
    texts: &Texts<'_>,
    how: &Distilling,
) -> Result<(), ExecuteError> {
    let Some(teacher) = texts.teacher else {
        return Err(ExecuteError::Data("the method distill needs the model, not its embeddings alone".into()));
    };
    let snippets = snippets(texts.documents, how);
    if snippets.is_empty() {
        return Err(ExecuteError::Data("the method distill learns from text: a corpus is missing".into()));
    }
    let cols = input.matrix.cols();
    let mut rows = Rows::new(input, cols);
    let mut head = output.as_deref().map(|o| Rows::new(o, cols));
    let batches: Vec<&[&str]> = snippets.chunks(how.batch.max(1)).collect();
    let teacher = teacher.clone().merged().frozen();
    for (step, batch) in batches.iter().enumerate() {
        let own = output.as_deref().map(|o| o.matrix.clone());
        let student = teacher.clone().replace_embeddings(input.matrix.clone(), own)?.train_embeddings(true);
        let old = Laid::out(texts.source, batch)?;
        let new = Laid::out(texts.candidate, batch)?;
        // Cross-entropy of the text, in nats a token.
        let counted = new.targets.iter().filter(|t| **t != IGNORE).count().max(1);
        let batch = Batch { ids: &new.ids, targets: &new.targets, weights: None, shape: new.shape };
        let options = StepOptions { scale: 1.0 / counted as f32, dropout: None, checkpointing: false };
        let step_ = student.step(&batch, &options)?.whole(&student);
        let mut gradients = step_.grads;
        // Hidden states of the same bytes, as a share of the teacher's own square.
        let pairs = pairs(&old, &new);
        let wanted = teacher.hidden(&old.ids, old.shape)?;
        let followed = student.follow(&new.ids, new.shape, &wanted, &pairs)?;
        let factor = (1.0 - step as f64 / batches.len() as f64) * how.rate;
        let named = student.parameters();
        let gradient = |wanted: crate::execute::model::Group| named.iter().find(|p| p.group == wanted).map(|p| p.id);
        use crate::execute::model::Group::{Embedding, Head};
        let mut numbers = |group| -> Result<Option<Vec<f32>>, ExecuteError> {
            let found = gradient(group).and_then(|id| gradients.remove::<2>(id));
            found.map(crate::execute::kernels::numbers).transpose()
        };
        let mut table = numbers(Embedding)?.unwrap_or_default();
        table.iter_mut().zip(followed).for_each(|(a, b)| *a += b);
        rows.update(&mut input.matrix, &table, factor);
        if let (Some(head), Some(output), Some(gradient)) = (&mut head, output.as_deref_mut(), numbers(Head)?) {
            head.update(&mut output.matrix, &gradient, factor);
        }
    }
    for moved in [Some(input), output].into_iter().flatten() {
        for by in moved.by_row.iter_mut().filter(|by| !is_copy(by)) {
            *by = "distill";
        }
        moved.provenance = super::count(&moved.by_row);
    }
    Ok(())
}

/// Pieces of the documents of about `snippet` bytes, spread over all of them, in an order of the seed.
fn snippets<'a>(documents: &'a [String], how: &Distilling) -> Vec<&'a str> {
    use rand::SeedableRng;
    use rand::seq::SliceRandom;
    let cut = |document: &'a String| {
        let mut rest = document.as_str();
        std::iter::from_fn(move || {
            let mut end = rest.len().min(how.snippet.max(16));
            while !rest.is_char_boundary(end) {
                end += 1;
            }
            let (piece, left) = rest.split_at(end);
            rest = left;
            (!piece.is_empty()).then_some(piece)
        })
    };
    let mut all: Vec<&str> = documents.iter().flat_map(cut).filter(|p| p.len() >= 16).collect();
    all.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(how.seed));
    let mut left = how.bytes;
    all.retain(|piece| {
        let fits = piece.len() <= left;
        left = if fits { left - piece.len() } else { 0 };
        fits
    });
    all
}

/// Snippets side by side, filled up on the right.
struct Laid {
    ids: Vec<u32>,
    targets: Vec<u32>,
    shape: [usize; 2],
    /// By snippet: where each position's text ends, in bytes; the opener's ends at 0.
    ends: Vec<Vec<usize>>,
}

impl Laid {
    fn out(coder: &Coder, snippets: &[&str]) -> Result<Self, ExecuteError> {
        let encoded: Vec<Encoded> = coder.encode(snippets)?;
        let opener = coder.opener();
        let length = encoded.iter().map(|e| e.ids.len()).max().unwrap_or(0) + usize::from(opener.is_some());
        let length = length.max(1);
        let (mut ids, mut targets, mut ends) = (vec![], vec![], vec![]);
        for e in &encoded {
            let own: Vec<u32> = opener.into_iter().chain(e.ids.iter().copied()).collect();
            ids.extend((0..length).map(|i| own.get(i).copied().unwrap_or(0)));
            targets.extend((0..length).map(|i| own.get(i + 1).copied().unwrap_or(IGNORE)));
            let mut end = 0;
            let text = e.bytes.iter().map(|b| {
                end += *b as usize;
                end
            });
            ends.push(opener.map(|_| 0).into_iter().chain(text).collect());
        }
        Ok(Self { ids, targets, shape: [encoded.len(), length], ends })
    }
}

/// Positions (of the new layout, of the old one) whose text ends at the same byte; flat over the batch.
fn pairs(old: &Laid, new: &Laid) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for (snippet, (a, b)) in old.ends.iter().zip(&new.ends).enumerate() {
        let mut i = 0;
        for (j, end) in b.iter().enumerate() {
            while i < a.len() && a[i] < *end {
                i += 1;
            }
            // Of tokens that end at the same byte (parts of a character) the last counts.
            while i + 1 < a.len() && a[i + 1] == *end {
                i += 1;
            }
            let last = b.get(j + 1) != Some(end);
            if last && a.get(i) == Some(end) {
                pairs.push((snippet * new.shape[1] + j, snippet * old.shape[1] + i));
            }
        }
    }
    pairs
}

/// Moments of the rows that are trained (Adam, Kingma and Ba 2015).
struct Rows {
    trained: Vec<bool>,
    first: Vec<f32>,
    second: Vec<f32>,
    steps: i32,
    /// Root mean square of the rows as they began.
    scale: f64,
    cols: usize,
}

impl Rows {
    fn new(moved: &Moved, cols: usize) -> Self {
        let data = moved.matrix.data();
        let square: f64 = data.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        Self {
            trained: moved.by_row.iter().map(|by| !is_copy(by)).collect(),
            first: vec![0.0; data.len()],
            second: vec![0.0; data.len()],
            steps: 0,
            scale: (square / data.len().max(1) as f64).sqrt(),
            cols,
        }
    }

    fn update(&mut self, matrix: &mut Matrix, gradient: &[f32], factor: f64) {
        const BETA: (f32, f32) = (0.9, 0.99);
        self.steps += 1;
        let (c1, c2) = (1.0 - BETA.0.powi(self.steps), 1.0 - BETA.1.powi(self.steps));
        let rate = (self.scale * factor) as f32;
        let cols = self.cols;
        for (row, _) in self.trained.iter().enumerate().filter(|(_, trained)| **trained) {
            let place = row * cols..(row + 1) * cols;
            let Some(gradient) = gradient.get(place.clone()).filter(|g| g.iter().any(|x| *x != 0.0)) else { continue };
            let moments = self.first[place.clone()].iter_mut().zip(&mut self.second[place]);
            for ((x, g), (m, v)) in matrix.row_mut(row).iter_mut().zip(gradient).zip(moments) {
                *m = BETA.0 * *m + (1.0 - BETA.0) * g;
                *v = BETA.1 * *v + (1.0 - BETA.1) * g * g;
                *x -= rate * (*m / c1) / ((*v / c2).sqrt() + 1e-8);
            }
        }
    }
}

impl Decoder {
    /// Gradient, by row of the input embeddings, of the squared difference between this model's hidden states and
    /// wanted ones at pairs of (own, wanted) positions, as a share of the wanted states' own square.
    fn follow(
        &self,
        ids: &[u32],
        shape: [usize; 2],
        wanted: &Tensor<3>,
        pairs: &[(usize, usize)],
    ) -> Result<Vec<f32>, ExecuteError> {
        let width = self.config().size.hidden;
        let all = crate::execute::kernels::numbers(wanted.clone())?;
        let (hidden, gradient_of) = self.hidden_with_gradient(ids, shape)?;
        let own = crate::execute::kernels::numbers(hidden)?;
        let row = |all: &[f32], i: usize| i * width..((i + 1) * width).min(all.len());
        let square: f64 =
            pairs.iter().flat_map(|(_, w)| &all[row(&all, *w)]).map(|x| f64::from(*x) * f64::from(*x)).sum();
        let scale = (2.0 / square.max(1e-12)) as f32;
        let mut d_hidden = vec![0f32; own.len()];
        for (i, w) in pairs {
            for ((d, x), y) in d_hidden[row(&own, *i)].iter_mut().zip(&own[row(&own, *i)]).zip(&all[row(&all, *w)]) {
                *d = scale * (x - y);
            }
        }
        gradient_of(d_hidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::vocabulary::{Mapping, Origin};
    use crate::execute::embed::{Named, Norms, Request, transplant};
    use crate::execute::evaluate::HeldOut;
    use crate::execute::model::{Dimensions, ModelConfig};
    use crate::execute::tokenizer::{BpeKind, coder_for_tests};
    use burn::tensor::Device;

    fn text() -> Vec<String> {
        (0..960).map(|i| format!("the {} cat sat on the {} mat and saw {} dogs", i % 3, i % 5, i % 2)).collect()
    }

    #[test]
    fn positions_pair_where_tokens_end_at_the_same_byte() {
        let of = |ends: &[&[usize]]| {
            let ends: Vec<Vec<usize>> = ends.iter().map(|e| e.to_vec()).collect();
            Laid { ids: vec![], targets: vec![], shape: [ends.len(), 4], ends }
        };
        let (old, new) = (of(&[&[0, 2, 4, 7], &[0, 3, 3]]), of(&[&[0, 4, 7], &[0, 1, 3]]));
        assert_eq!(pairs(&old, &new), [(0, 0), (1, 2), (2, 3), (4, 4), (6, 6)]);
    }

    #[test]
    fn distilled_rows_predict_the_text_better_and_copies_stay() {
        let text = text();
        let lines: Vec<&str> = text.iter().map(String::as_str).collect();
        let (old, new) =
            (coder_for_tests(BpeKind::ByteLevel, &lines, 262), coder_for_tests(BpeKind::ByteLevel, &lines, 290));
        let size = Dimensions {
            rows: old.rows(),
            hidden: 24,
            intermediate: 32,
            layers: 1,
            heads: 2,
            kv_heads: 1,
            head_dim: 12,
            positions: 128,
            tied: true,
        };
        let teacher = Decoder::init(&ModelConfig::qwen3(size).unwrap(), &Device::flex(), 3).unwrap();
        let (input, _) = teacher.embeddings().unwrap();
        // The first ids are the bytes in both; what the new one learnt beyond them is new to the old one.
        let shared = old.rows().min(258) as u32;
        let origin = |id: u32| if id < shared { Origin::Exact(id) } else { Origin::Pieces(vec![(40, 1), (50, 1)]) };
        let mapping = Mapping { origins: (0..new.rows() as u32).map(origin).collect() };
        let tokens: Vec<u32> = (0..old.rows() as u32).collect();
        let all: Vec<u32> = (0..new.rows() as u32).collect();
        let request =
            Request { input: &input, output: None, tokens: &tokens, mapping: &mapping, norms: Norms::Kept, seed: 1 };
        let texts = Texts {
            source: &old,
            candidate: &new,
            documents: &text,
            source_documents: &[],
            pairs: &[],
            source_tokens: &tokens,
            candidate_tokens: &all,
            donor: None,
            teacher: Some(&teacher),
            terms: None,
            dimensions: None,
        };
        let held_out = HeldOut::new(&new, &text[..10], 100, 256).unwrap();
        let bits = |name: &str| {
            let (moved, _) = transplant(&request, name.parse::<Named>().unwrap(), Some(&texts)).unwrap();
            let model = teacher.clone().replace_embeddings(moved.matrix.clone(), None).unwrap();
            (held_out.evaluate(&model).unwrap().evaluation.bits_per_byte.get(), moved)
        };
        let ((plain, before), (trained, after)) = (bits("subtoken"), bits("distill"));
        assert!(trained < plain - 0.05, "{plain} -> {trained}");
        assert_eq!(before.matrix.row(60), after.matrix.row(60), "a copy stays");
        assert_eq!(after.by_row.last(), Some(&"distill"));
        let lone = Texts { teacher: None, ..texts };
        assert!(transplant(&request, Named::Distill, Some(&lone)).is_err());
    }
}
