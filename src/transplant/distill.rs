//! `distill`: rows that are no copies begin as `subtoken`'s and are trained until the model, reading the new tokens, is in
//! the states it was in when it read the old ones (Dobler 2025). The teacher is the model as it was, reading the old tokens
//! of a snippet; the student the same model reading the new ones. Wherever a new and an old token end at the same byte, at
//! a new token and at everything after it that attends to it, the student's last hidden state is drawn to the teacher's
//! (squared difference). Nothing but those rows changes.
//!
//! Hidden states say what an input row should be; no state depends on a head. Where rows of the output matrix are this
//! method's too (always in a tied model, which has but one matrix), they learn to predict the text (cross-entropy), so
//! weighed that both losses count alike, as in the paper's variant with next-token prediction. A tied row takes a step as an
//! input and one as a logit, each of them scaled by what it itself was before: the gradient through the layers is larger
//! than the head's by as much as rows are shorter than 1, and would drown it.

use super::TransplantedMatrix;
use super::error::TransplantError;
use super::overlap::is_copy;
use super::texts::Texts;
use crate::kernels;
use crate::model::{Decoder, IGNORE, Matrix};
use crate::tokenizer::Encoded;
use burn::tensor::{Tensor, TensorData};

/// How rows are distilled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distilling {
    /// Snippets wanted for each new token: a snippet all of whose new tokens have had as many is passed over. Default 100.
    pub snippets: u32,
    /// Bytes of text that are read at most. Default 512 KiB.
    pub bytes: usize,
    /// Bytes of a snippet. Default 256: about 50 tokens.
    pub length: usize,
    /// Snippets at once. Default 16.
    pub batch: usize,
    /// Largest step of a number, as a share of the rows' root mean square; it falls to 0 in a straight line. Default 0.01:
    /// at a root mean square of 0.01 the paper's 1e-4.
    pub rate: f64,
    /// Seed of the snippets' order.
    pub seed: u64,
}

impl Default for Distilling {
    fn default() -> Self {
        Self { snippets: 100, bytes: 1 << 19, length: 256, batch: 16, rate: 0.01, seed: 0 }
    }
}

/// Trains the rows of `input` that are no copies, and of `head` where it is given: a matrix of its own whose rows are to be
/// distilled. `fixed` is a head that stays as it is. With neither the model is tied.
///
/// # Errors
/// [`TransplantError::Data`] where there is no text, or no new token in it; as [`Decoder::hidden`].
pub(super) fn distill(
    teacher: &Decoder,
    input: &mut TransplantedMatrix,
    (mut head, fixed): (Option<&mut TransplantedMatrix>, Option<&Matrix>),
    texts: &Texts<'_>,
    how: &Distilling,
) -> Result<(), TransplantError> {
    let teacher = teacher.clone().merged().frozen();
    let new: Vec<bool> = input.by_row.iter().map(|by| !is_copy(by)).collect();
    let snippets = Snippet::choose(texts, &new, how)?;
    if snippets.is_empty() {
        let what =
            "the method distill learns from text in which new tokens occur: a corpus is missing, or has none of them";
        return Err(TransplantError::Data(what.into()));
    }
    let mut rows = Rows::new(input, &new);
    let mut head_rows = fixed.is_none().then(|| Rows::new(head.as_deref().unwrap_or(input), &new));
    let count = snippets.len().div_ceil(how.batch.max(1));
    for (step, batch) in snippets.chunks(how.batch.max(1)).enumerate() {
        let output = head.as_deref().map(|h| &h.matrix).or(fixed).cloned();
        let student = teacher.clone().replace_embeddings(input.matrix.clone(), output)?;
        let old = Laid::out(batch.iter().map(|s| &s.old), texts.source.opener());
        let own = Laid::out(batch.iter().map(|s| &s.new), texts.candidate.opener());
        let wanted = teacher.hidden(&old.ids, old.shape)?;
        let [b, s, d] = wanted.dims();
        let (hidden, backward) = student.hidden_with_gradient(&own.ids, own.shape)?;
        let (off, mut gradient) = follow(&hidden, &wanted.reshape([b * s, d]), &pairs(&old, &own))?;
        let rate = (1.0 - step as f64 / count as f64) * how.rate;
        if let Some(rows) = &mut head_rows {
            let (d_hidden, d_weight) = predict(&student, hidden, &own.targets, off)?;
            gradient = gradient + d_hidden;
            let matrix = head.as_deref_mut().map_or(&mut input.matrix, |h| &mut h.matrix);
            rows.update(matrix, &kernels::numbers(d_weight)?, rate);
        }
        let dx = kernels::numbers(backward(gradient))?;
        let cols = rows.cols;
        let mut table = vec![0.0; input.matrix.data().len()];
        for (id, dx) in own.ids.iter().zip(dx.chunks(cols)) {
            let row = *id as usize * cols;
            table[row..row + cols].iter_mut().zip(dx).for_each(|(a, b)| *a += b);
        }
        rows.update(&mut input.matrix, &table, rate);
    }
    rows.name(input);
    if let Some(rows) = &head_rows {
        rows.name(head.unwrap_or(input));
    }
    Ok(())
}

/// The squared difference of hidden states at pairs of (own, wanted) positions as a share of the wanted states' own square,
/// and its gradient: `[positions, hidden]`.
fn follow(own: &Tensor<2>, wanted: &Tensor<2>, pairs: &[(usize, usize)]) -> Result<(f64, Tensor<2>), TransplantError> {
    let (shape, device) = (own.dims(), own.device());
    let width = shape[1];
    let (own, wanted) = (kernels::numbers(own.clone())?, kernels::numbers(wanted.clone())?);
    let row = |i: usize| i * width..(i + 1) * width;
    let square = |x: &f32| f64::from(*x) * f64::from(*x);
    let all: f64 = pairs.iter().map(|(_, w)| wanted[row(*w)].iter().map(square).sum::<f64>()).sum();
    let mut gradient = vec![0f32; own.len()];
    let mut off = 0.0;
    for (i, w) in pairs {
        for ((g, x), y) in gradient[row(*i)].iter_mut().zip(&own[row(*i)]).zip(&wanted[row(*w)]) {
            off += square(&(x - y));
            *g = (2.0 / all.max(1e-12)) as f32 * (x - y);
        }
    }
    Ok((off / all.max(1e-12), Tensor::from_data(TensorData::new(gradient, shape), &device)))
}

/// Gradients of the targets' mean cross-entropy, scaled so that the loss counts `weight`: of the hidden states, and of the
/// output matrix.
fn predict(
    student: &Decoder,
    hidden: Tensor<2>,
    targets: &[u32],
    weight: f64,
) -> Result<(Tensor<2>, Tensor<2>), TransplantError> {
    let counted = targets.iter().filter(|t| **t != IGNORE).count().max(1) as f64;
    let factors: Vec<f32> = targets.iter().map(|t| if *t == IGNORE { 0.0 } else { 1.0 / counted as f32 }).collect();
    let (matrix, like) = (student.output_matrix(), hidden.clone());
    let loss = kernels::linear_cross_entropy(hidden, matrix.clone(), targets, Some(&factors), true)?;
    let mean = loss.nats.iter().map(|n| f64::from(*n)).sum::<f64>() / counted;
    let scale = (weight / mean.max(1e-6)) as f32;
    let or_zeros = |gradient: Option<Tensor<2>>, like: Tensor<2>| match gradient {
        Some(gradient) => gradient.mul_scalar(scale),
        None => like.zeros_like(),
    };
    Ok((or_zeros(loss.d_hidden, like), or_zeros(loss.d_weight, matrix)))
}

/// A piece of text under both tokenizers.
struct Snippet {
    old: Encoded,
    new: Encoded,
}

impl Snippet {
    /// Pieces of the documents in an order of the seed, as long as new tokens in them have not had their share.
    fn choose(texts: &Texts<'_>, new: &[bool], how: &Distilling) -> Result<Vec<Self>, TransplantError> {
        use rand::SeedableRng;
        use rand::seq::SliceRandom;
        let mut pieces: Vec<&str> = texts.documents.iter().flat_map(|d| cut(d, how.length.max(16))).collect();
        pieces.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(how.seed));
        let mut seen = vec![0u32; new.len()];
        let (mut chosen, mut left) = (Vec::new(), how.bytes);
        // A few at a time: what does not fit any more is not encoded.
        for some in pieces.chunks(1024) {
            let (old, own) = (texts.source.encode(some)?, texts.candidate.encode(some)?);
            for ((piece, old), own) in some.iter().zip(old).zip(own) {
                if piece.len() > left {
                    return Ok(chosen);
                }
                let is_new = |id: &&u32| new.get(**id as usize).is_some_and(|n| *n);
                if own.ids.iter().filter(is_new).any(|id| seen[*id as usize] < how.snippets) {
                    own.ids.iter().filter(is_new).for_each(|id| seen[*id as usize] += 1);
                    left -= piece.len();
                    chosen.push(Self { old, new: own });
                }
            }
        }
        Ok(chosen)
    }
}

/// Pieces of about `length` bytes.
fn cut(document: &str, length: usize) -> impl Iterator<Item = &str> {
    let mut rest = document;
    std::iter::from_fn(move || {
        let (piece, left) = rest.split_at(rest.ceil_char_boundary(length));
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
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
    fn out<'a>(snippets: impl Iterator<Item = &'a Encoded> + Clone, opener: Option<u32>) -> Self {
        let length = snippets.clone().map(|e| e.ids.len()).max().unwrap_or(0) + usize::from(opener.is_some());
        let (mut ids, mut targets, mut ends) = (vec![], vec![], vec![]);
        for e in snippets {
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
        Self { ids, targets, shape: [ends.len(), length], ends }
    }
}

/// Positions (of the new layout, of the old one) whose text ends at the same byte; flat over the batch.
fn pairs(old: &Laid, new: &Laid) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for (snippet, (a, b)) in old.ends.iter().zip(&new.ends).enumerate() {
        // Of tokens that end at the same byte (parts of a character) the last counts.
        let last = |ends: &[usize], i: usize| ends.get(i + 1) != ends.get(i);
        let mut own = (0..b.len()).filter(|i| last(b, *i)).peekable();
        for i in (0..a.len()).filter(|i| last(a, *i)) {
            while own.next_if(|j| b[*j] < a[i]).is_some() {}
            if let Some(j) = own.next_if(|j| b[*j] == a[i]) {
                pairs.push((snippet * new.shape[1] + j, snippet * old.shape[1] + i));
            }
        }
    }
    pairs
}

/// The rows of a matrix that are trained, and what Adam (Kingma and Ba 2015) remembers of those it met.
struct Rows {
    memory: Vec<Option<Memory>>,
    trained: Vec<bool>,
    /// Root mean square of the rows as they began.
    scale: f64,
    cols: usize,
}

struct Memory {
    first: Vec<f32>,
    second: Vec<f32>,
    steps: i32,
}

impl Rows {
    fn new(moved: &TransplantedMatrix, trained: &[bool]) -> Self {
        let data = moved.matrix.data();
        let square: f64 = data.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        let scale = (square / data.len().max(1) as f64).sqrt();
        let memory = trained.iter().map(|_| None).collect();
        Self { memory, trained: trained.to_vec(), scale, cols: moved.matrix.cols().max(1) }
    }

    /// One step against the gradient, `rate` being a share of the rows' root mean square.
    fn update(&mut self, matrix: &mut Matrix, gradient: &[f32], rate: f64) {
        const BETA: (f32, f32) = (0.9, 0.99);
        let rate = (self.scale * rate) as f32;
        let rows = matrix.data_mut().chunks_mut(self.cols).zip(gradient.chunks(self.cols)).zip(&mut self.memory);
        for (((row, gradient), memory), _) in rows.zip(&self.trained).filter(|(_, trained)| **trained) {
            if memory.is_none() && gradient.iter().all(|g| *g == 0.0) {
                continue;
            }
            let blank = || Memory { first: vec![0.0; gradient.len()], second: vec![0.0; gradient.len()], steps: 0 };
            let memory = memory.get_or_insert_with(blank);
            if gradient.iter().all(|g| *g == 0.0) {
                continue;
            }
            memory.steps += 1;
            let (c1, c2) = (1.0 - BETA.0.powi(memory.steps), 1.0 - BETA.1.powi(memory.steps));
            let moments = memory.first.iter_mut().zip(&mut memory.second);
            for ((x, g), (m, v)) in row.iter_mut().zip(gradient).zip(moments) {
                *m = BETA.0 * *m + (1.0 - BETA.0) * g;
                *v = BETA.1 * *v + (1.0 - BETA.1) * g * g;
                *x -= rate * (*m / c1) / ((*v / c2).sqrt() + 1e-12);
            }
        }
    }

    /// Says of the rows that were trained that they were.
    fn name(&self, moved: &mut TransplantedMatrix) {
        for (by, _) in moved.by_row.iter_mut().zip(&self.memory).filter(|(_, memory)| memory.is_some()) {
            *by = "distill";
        }
        moved.provenance = super::count(&moved.by_row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::vocabulary::{Mapping, Origin};
    use crate::model::evaluate::HeldOut;
    use crate::model::{Dimensions, ModelConfig};
    use crate::tokenizer::{BpeKind, coder_for_tests};
    use crate::transplant::{Method, Norms, TransplantInputs, transplant_apart};
    use burn::tensor::Device;

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
    fn pieces_of_a_document_are_all_of_it_and_end_between_characters() {
        let document = "abcdéfgh";
        assert_eq!(cut(document, 5).collect::<Vec<_>>(), ["abcdé", "fgh"]);
    }

    #[test]
    fn distilled_rows_bring_states_nearer_and_predict_the_text_better_and_nothing_else_moves() {
        let text: Vec<String> =
            (0..960).map(|i| format!("the {} cat sat on the {} mat and saw {} dogs", i % 3, i % 5, i % 2)).collect();
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
        let (matrix, _) = teacher.embeddings().unwrap();
        // The first ids are the bytes in both; what the new one learnt beyond them is new to the old one.
        let shared = old.rows().min(258) as u32;
        let origin = |id: u32| if id < shared { Origin::Exact(id) } else { Origin::Pieces(vec![(40, 1), (50, 1)]) };
        let mapping = Mapping { origins: (0..new.rows() as u32).map(origin).collect() };
        let tokens: Vec<u32> = (0..old.rows() as u32).collect();
        let all: Vec<u32> = (0..new.rows() as u32).collect();
        let texts = Texts {
            source: &old,
            candidate: &new,
            documents: &text,
            source_documents: &[],
            pairs: &[],
            parallel: &[],
            source_tokens: &tokens,
            candidate_tokens: &all,
            donor: None,
            teacher: Some(&teacher),
            terms: None,
            dimensions: None,
        };
        let made = |output: Option<&Matrix>, methods, texts: &Texts<'_>| {
            let (tokens, mapping) = (&tokens, &mapping);
            let request = TransplantInputs { input: &matrix, output, tokens, mapping, norms: Norms::Kept, seed: 1 };
            transplant_apart(&request, methods, Some(texts))
        };
        let plain = Method::Subtoken;
        // A fresh model is nearly silent: it takes longer steps, and more of them, than a trained one.
        let how = Distilling { rate: 0.1, snippets: 1000, ..Distilling::default() };
        let held_out = HeldOut::new(&new, &text[..10], 100, 256).unwrap();
        let measured = |input: &TransplantedMatrix, output: Option<&TransplantedMatrix>| {
            let output = output.map(|o| o.matrix.clone());
            let model = teacher.clone().replace_embeddings(input.matrix.clone(), output).unwrap();
            let bits = held_out.evaluate(&model).unwrap().evaluation.bits_per_byte.get();
            let snippet = [(old.encode_one(lines[0]).unwrap(), new.encode_one(lines[0]).unwrap())];
            let (a, b) = (Laid::out(snippet.iter().map(|s| &s.0), None), Laid::out(snippet.iter().map(|s| &s.1), None));
            let states = |model: &Decoder, laid: &Laid| {
                let states = model.hidden(&laid.ids, laid.shape).unwrap();
                let [b, s, d] = states.dims();
                states.reshape([b * s, d])
            };
            (bits, follow(&states(&model, &b), &states(&teacher, &a), &pairs(&a, &b)).unwrap().0)
        };
        let (start, none) = made(None, (plain, plain), &texts).unwrap();
        assert!(none.is_none());
        let (bits, off) = measured(&start, None);
        // Tied: one matrix for both ends.
        let mut tied = start.clone();
        distill(&teacher, &mut tied, (None, None), &texts, &how).unwrap();
        let new_bits = measured(&tied, None).0;
        assert!(new_bits < bits - 0.05, "{bits} -> {new_bits}");
        assert_eq!(start.matrix.row(60), tied.matrix.row(60), "a copy stays");
        assert_eq!(tied.by_row.last(), Some(&"distill"));
        // A head that stays as it is: the states alone count, and come nearer.
        let mut alone = start.clone();
        distill(&teacher, &mut alone, (None, Some(&start.matrix)), &texts, &how).unwrap();
        let alone_off = measured(&alone, Some(&start)).1;
        assert!(alone_off < 0.8 * off, "{off} -> {alone_off}");
        // A head of its own that is distilled too.
        let (mut input, mut head) = (start.clone(), start.clone());
        distill(&teacher, &mut input, (Some(&mut head), None), &texts, &how).unwrap();
        let apart = measured(&input, Some(&head)).0;
        assert!(apart < bits - 0.05, "{bits} -> {apart}");
        assert_ne!(head.matrix, input.matrix);
        assert_eq!(start.matrix.row(60), head.matrix.row(60));
        // By name: the methods say which of the three it is.
        let (input, head) = made(Some(&matrix), (Method::Distill, plain), &texts).unwrap();
        assert_eq!((head.unwrap().matrix, input.by_row.last()), (start.matrix.clone(), Some(&"distill")));
        let lone = Texts { teacher: None, ..texts };
        assert!(made(None, (Method::Distill, Method::Distill), &lone).is_err());
        assert!(made(Some(&matrix), (plain, Method::Distill), &texts).is_err());
        let silent = Texts { documents: &[], ..texts };
        let error = made(None, (Method::Distill, Method::Distill), &silent).unwrap_err();
        assert!(error.to_string().contains("corpus"), "{error}");
    }
}
