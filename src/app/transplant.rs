//! `hibrit transplant`: a model's embeddings moved to another tokenizer, streamed from folder to folder, with a report of
//! where every row came from. How rows are made is not known here.

use super::model::{beside, own_tokenizer};
use super::{AppError, must_be_free};
use crate::analyze;
use crate::corpus::{Corpus, CorpusOptions};
use crate::domain::event::{Event, Observer};
use crate::domain::vocabulary::{Mapping, Origin};
use crate::model::device;
use crate::model::structural_folder;
use crate::model::{Bridges, Decoder, Matrix, ModelFolder, NewTable, write_with_tables};
use crate::model::{with_specials, write_companions};
use crate::tokenizer::Coder;
use crate::tokenizer::TokenizerFile;
use crate::tokenizer::{TokenizerFiles, Tokens};
use crate::transplant::{
    self, EmbeddingTable, InitContext, MatrixRole, Method, Norms, Texts, TransplantError, TransplantInputs,
    TransplantedMatrix, chain_of, dictionary, mean_norm,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Which of a model's matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Which {
    /// Neither.
    #[default]
    None,
    /// The input embeddings.
    Input,
    /// The output matrix.
    Output,
    /// Both.
    Both,
}

/// What happens to rows of the old matrix that are no tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Padding {
    /// They are left out: the new matrix has a row for each token.
    #[default]
    Drop,
    /// They stand behind the new rows, as many as there were, bit for bit.
    Keep,
}

/// A model whose embeddings are to be moved.
#[derive(Debug, Clone)]
pub struct TransplantRequest {
    /// The model's folder.
    pub model: PathBuf,
    /// The candidate tokenizer.
    pub candidate: PathBuf,
    /// Name of the method.
    pub method: String,
    /// Another method for the output matrix; that of the input where absent.
    pub output_method: Option<String>,
    /// Whether a tied model gets a head of its own.
    pub untie: bool,
    /// Rows that get the old rows' mean norm.
    pub match_norms: Which,
    /// Rows that are no tokens.
    pub padding: Padding,
    /// Keep the old vocabulary and put the new one beside it, with bridges of this rank: a structural model.
    pub beside: Option<usize>,
    /// Text for the methods that learn from it.
    pub corpus: Vec<PathBuf>,
    /// Text in the language the model knows, for `wechsel`.
    pub source_corpus: Vec<PathBuf>,
    /// Words that translate each other, for `wechsel`: a file of lines `known<TAB>new`.
    pub dictionary: Option<PathBuf>,
    /// Parallel text, for `wechsel` and `trans`: a file in the known language and one in the new, line by line.
    pub parallel: Option<(PathBuf, PathBuf)>,
    /// A model that uses the candidate tokenizer already, whose embeddings serve as the helper space.
    pub donor: Option<PathBuf>,
    /// `omp`: anchors a row is written in.
    pub terms: Option<usize>,
    /// Dimensions of a helper space learnt from text.
    pub dimensions: Option<usize>,
    /// A free folder.
    pub out: PathBuf,
    /// Seed of everything random.
    pub seed: u64,
    /// How text is read.
    pub reading: CorpusOptions,
}

/// Names of all methods of moving embeddings.
pub fn methods() -> Vec<&'static str> {
    Method::all().map(Method::name).collect()
}

/// Name of the method that is taken where none is asked for.
pub fn default_method() -> String {
    Method::default().to_string()
}

/// What a transplant did to one matrix.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MovedTable {
    /// The method's name.
    pub method: String,
    /// Rows by the link of the method that made them.
    pub rows: BTreeMap<&'static str, u64>,
    /// Mean Euclidean length of those rows: the length of a head's row is a prior of its token.
    pub mean_norms: BTreeMap<&'static str, f64>,
}

/// What a transplant did. It stands as transplant.json in the model's folder; transplant-rows.jsonl beside it has a line a
/// row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Transplanted {
    /// The input embeddings, or the one matrix of a tied model.
    pub input: MovedTable,
    /// The output matrix, where it is one of its own.
    pub output: Option<MovedTable>,
    /// Rows of padding behind the tokens' rows.
    pub padding: usize,
    /// Seed of everything random.
    pub seed: u64,
}

/// Moves a model's embeddings to another tokenizer and writes a complete folder.
pub fn transplant(request: &TransplantRequest, observer: &mut dyn Observer) -> Result<Transplanted, AppError> {
    must_be_free(&request.out)?;
    let method: Method = request.method.parse()?;
    let output_method: Method = request.output_method.as_deref().map_or(Ok(method), str::parse)?;
    let folder = ModelFolder::open(&request.model)?;
    let tokenizer = own_tokenizer(&folder)?;
    let candidate = TokenizerFile::open(&request.candidate)?;
    let donor = request.donor.as_deref().map(ModelFolder::open).transpose()?;
    let source_coder = Coder::of(tokenizer.tokenizer.clone(), &tokenizer.vocabulary)?;
    let candidate_coder = Coder::of(candidate.tokenizer.clone(), &candidate.vocabulary)?;
    let read = |paths: &[PathBuf]| -> Result<Vec<String>, AppError> {
        if paths.is_empty() { Ok(Vec::new()) } else { Ok(Corpus::open(paths, &request.reading)?.collect(None)?) }
    };
    let (documents, source_documents) = (read(&request.corpus)?, read(&request.source_corpus)?);
    let source_tokens: Vec<u32> = tokenizer.vocabulary.iter().map(|(id, _)| id).collect();
    let candidate_tokens: Vec<u32> = candidate.vocabulary.iter().map(|(id, _)| id).collect();
    let device = device::choose("cpu")?;
    let teacher = match [method, output_method].contains(&Method::Distill) {
        true => Some(folder.load(&device.device)?),
        false => None,
    };
    let parallel = parallel(request)?;
    let pairs = word_pairs(request, &parallel)?;
    let texts = Texts {
        source: &source_coder,
        candidate: &candidate_coder,
        documents: &documents,
        source_documents: &source_documents,
        pairs: &pairs,
        parallel: &parallel,
        source_tokens: &source_tokens,
        candidate_tokens: &candidate_tokens,
        donor: donor.as_ref().and_then(|d| d.tables().0).map(EmbeddingTable::Stored),
        teacher: teacher.as_ref(),
        terms: request.terms,
        dimensions: request.dimensions,
    };
    observer.observe(&Event::Note { text: format!("Moving embeddings by {method}") });
    let mapping = analyze::mapping(&tokenizer, &candidate);
    let job = Job {
        request,
        folder: &folder,
        tokens: &source_tokens,
        mapping: &mapping,
        texts: &texts,
        candidate: &candidate,
        coder: &candidate_coder,
    };
    if let Some(rank) = request.beside {
        let original = (&tokenizer, &source_coder);
        return job.write_beside(rank, method, original, &folder.load(&device.device)?);
    }
    job.write(method, output_method)
}

/// Everything a transplant works with.
struct Job<'a> {
    request: &'a TransplantRequest,
    folder: &'a ModelFolder,
    tokens: &'a [u32],
    mapping: &'a Mapping,
    texts: &'a Texts<'a>,
    candidate: &'a TokenizerFile,
    coder: &'a Coder,
}

/// A matrix that is made block by block, and what is known of its rows so far.
struct Making<'a> {
    ground: InitContext<'a>,
    chain: Vec<Box<dyn transplant::Initialiser + 'a>>,
    /// Rows that are there already.
    held: Option<TransplantedMatrix>,
    norm: Option<f32>,
    by_row: Vec<&'static str>,
    lengths: BTreeMap<&'static str, f64>,
}

impl Making<'_> {
    fn block(&mut self, first: usize, block: &mut [f32]) {
        let cols = self.ground.source().cols().max(1);
        let by = match &self.held {
            Some(held) => {
                let rows = first..first + block.len() / cols;
                block.copy_from_slice(&held.matrix.data()[rows.start * cols..rows.end * cols]);
                held.by_row[rows].to_vec()
            }
            None => transplant::fill(&self.ground, &self.chain, first, block),
        };
        for (row, by) in block.chunks_mut(cols).zip(&by) {
            let own = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
            let length = match self.norm {
                Some(wanted) if own > 0.0 && !transplant::is_copy(by) => {
                    let factor = (f64::from(wanted) / own) as f32;
                    row.iter_mut().for_each(|x| *x *= factor);
                    f64::from(wanted)
                }
                _ => own,
            };
            *self.lengths.entry(by).or_default() += length;
        }
        self.by_row.extend(by);
    }

    fn told(&self, method: Method) -> MovedTable {
        let rows = transplant::count(&self.by_row);
        let mean = |(by, sum): (&&'static str, &f64)| (*by, sum / rows.get(by).copied().unwrap_or(1).max(1) as f64);
        MovedTable { method: method.to_string(), mean_norms: self.lengths.iter().map(mean).collect(), rows }
    }
}

impl<'a> Job<'a> {
    fn tables(&self) -> Result<(EmbeddingTable<'a>, Option<EmbeddingTable<'a>>), AppError> {
        let (input, output) = self.folder.tables();
        let lacks = || TransplantError::Mismatch("the model has no embeddings".into());
        let input = EmbeddingTable::Stored(input.ok_or_else(lacks)?);
        let output = output.map(EmbeddingTable::Stored);
        Ok((input, if self.request.untie { output.or(Some(input)) } else { output }))
    }

    fn matched(&self, side: MatrixRole) -> bool {
        match self.request.match_norms {
            Which::None => false,
            Which::Both => true,
            Which::Input => matches!(side, MatrixRole::Input | MatrixRole::Tied),
            Which::Output => side == MatrixRole::Output,
        }
    }

    /// Both matrices, made in memory.
    fn held(&self, methods: (Method, Method)) -> Result<(TransplantedMatrix, Option<TransplantedMatrix>), AppError> {
        let (input, mut output) = self.folder.embeddings()?;
        if self.request.untie && output.is_none() {
            output = Some(input.clone());
        }
        let request = TransplantInputs {
            input: &input,
            output: output.as_ref(),
            tokens: self.tokens,
            mapping: self.mapping,
            norms: Norms::Kept,
            seed: self.request.seed,
        };
        Ok(transplant::transplant_apart(&request, methods, Some(self.texts))?)
    }

    fn making(&self, table: EmbeddingTable<'a>, side: MatrixRole, method: Method) -> Result<Making<'a>, AppError> {
        let ground = InitContext::new(table, self.tokens, self.mapping, side, self.request.seed)?;
        let chain = chain_of(method, self.mapping, &table, (Some(self.texts), self.request.seed))?;
        let norm = self.matched(side).then(|| mean_norm(&table, self.tokens));
        Ok(Making { ground, chain, held: None, norm, by_row: Vec::new(), lengths: BTreeMap::new() })
    }

    /// The folder, written while its rows are made.
    fn write(&self, method: Method, output_method: Method) -> Result<Transplanted, AppError> {
        let (table, head) = self.tables()?;
        if head.is_none() && output_method != method {
            let what = "a tied model has one matrix: --output-method needs --untie";
            return Err(TransplantError::Data(what.into()).into());
        }
        let side = if head.is_none() { MatrixRole::Tied } else { MatrixRole::Input };
        let mut input = self.making(table, side, method)?;
        let mut output = head.map(|head| self.making(head, MatrixRole::Output, output_method)).transpose()?;
        if self.texts.teacher.is_some() {
            // Rows that are trained are trained together.
            let (first, second) = self.held((method, output_method))?;
            input.held = Some(first);
            if let Some(output) = &mut output {
                output.held = second;
            }
        }
        let tokens = self.mapping.origins.len();
        let old = self.tokens.iter().max().map_or(0, |id| *id as usize + 1);
        let padding = match self.request.padding {
            Padding::Drop => 0,
            Padding::Keep => table.rows().saturating_sub(old),
        };
        let config = with_specials(self.folder.config().clone(), &self.candidate.vocabulary);
        let files = TokenizerFiles::beside(&self.candidate.path);
        let named = Tokens { coder: self.coder, vocabulary: &self.candidate.vocabulary, files: &files };
        let mut done = None;
        beside(&self.request.out, |out| {
            let new = |making| NewTable { rows: tokens + padding, fill: filler(making, tokens, old) };
            write_with_tables(self.folder, &config, out, new(&mut input), output.as_mut().map(new))?;
            let config = config.clone().with_rows(tokens + padding);
            write_companions(out, self.folder, &named, true, &config)?;
            let report = Transplanted {
                input: input.told(method),
                output: output.as_ref().map(|o| o.told(output_method)),
                padding,
                seed: self.request.seed,
            };
            self.write_report(out, &report, &input.by_row, output.as_ref().map(|o| o.by_row.as_slice()))?;
            done = Some(report);
            Ok(())
        })?;
        done.ok_or_else(|| TransplantError::Mismatch("nothing was written".into()).into())
    }

    /// transplant.json, and a line a row: token, links, and the old ids it was made from.
    fn write_report(
        &self,
        out: &Path,
        report: &Transplanted,
        input: &[&'static str],
        output: Option<&[&'static str]>,
    ) -> Result<(), AppError> {
        let fail = |source| AppError::File { verb: "write", path: out.into(), source };
        let text = serde_json::to_string_pretty(report).map_err(|e| fail(e.into()))?;
        std::fs::write(out.join("transplant.json"), text + "\n").map_err(fail)?;
        let file = std::fs::File::create(out.join("transplant-rows.jsonl")).map_err(fail)?;
        let mut file = std::io::BufWriter::new(file);
        for (id, (origin, by)) in self.mapping.origins.iter().zip(input).enumerate() {
            let from: Vec<u32> = match origin {
                Origin::Exact(old) | Origin::Role(old) => vec![*old],
                Origin::Pieces(pieces) => pieces.iter().map(|p| p.0).collect(),
                Origin::Nothing => vec![],
            };
            let token = self.candidate.vocabulary.get(id as u32).map(|t| t.raw.as_str());
            let mut line = serde_json::json!({ "id": id, "token": token, "input": by, "from": from });
            if let Some(by) = output.and_then(|o| o.get(id)) {
                line["output"] = (*by).into();
            }
            writeln!(file, "{line}").map_err(fail)?;
        }
        file.into_inner().map_err(|e| fail(e.into_error()))?.sync_all().map_err(fail)
    }

    /// A structural model: the old vocabulary stays, the new one stands beside it.
    fn write_beside(
        &self,
        rank: usize,
        method: Method,
        (original, coder): (&TokenizerFile, &Coder),
        decoder: &Decoder,
    ) -> Result<Transplanted, AppError> {
        let (input, output) = self.held((method, method))?;
        let rows = |m: &TransplantedMatrix| MovedTable {
            method: method.to_string(),
            rows: m.provenance.clone(),
            mean_norms: lengths(&m.matrix, &m.by_row),
        };
        let report = Transplanted {
            input: rows(&input),
            output: output.as_ref().map(rows),
            padding: 0,
            seed: self.request.seed,
        };
        let (by_input, by_output) = (input.by_row.clone(), output.as_ref().map(|o| o.by_row.clone()));
        let bridges = Bridges { rank, seed: self.request.seed };
        let model = decoder.clone().with_second(input.matrix, output.map(|o| o.matrix), bridges)?;
        let (first, second) = (TokenizerFiles::beside(&original.path), TokenizerFiles::beside(&self.candidate.path));
        let original = Tokens { coder, vocabulary: &original.vocabulary, files: &first };
        let candidate = Tokens { coder: self.coder, vocabulary: &self.candidate.vocabulary, files: &second };
        beside(&self.request.out, |out| {
            structural_folder::save(out, &model, self.folder, &original, &candidate)?;
            self.write_report(out, &report, &by_input, by_output.as_deref())
        })?;
        Ok(report)
    }
}

/// Rows of tokens as they are made, then the old matrix' rows that were no tokens.
fn filler<'m, 'a>(making: &'m mut Making<'a>, tokens: usize, old: usize) -> crate::model::Filler<'m> {
    Box::new(move |first, block| {
        let cols = making.ground.source().cols().max(1);
        let rows = block.len() / cols;
        let made = tokens.saturating_sub(first).min(rows);
        let (new, padding) = block.split_at_mut(made * cols);
        if !new.is_empty() {
            making.block(first, new);
        }
        for (i, row) in padding.chunks_mut(cols).enumerate() {
            making.ground.source().copy((old + first + made + i - tokens) as u32, row);
        }
        Ok(())
    })
}

fn lengths(matrix: &Matrix, by_row: &[&'static str]) -> BTreeMap<&'static str, f64> {
    let mut sums: BTreeMap<&'static str, (f64, u64)> = BTreeMap::new();
    for (i, by) in by_row.iter().enumerate() {
        let own = matrix.row(i).iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
        let sum = sums.entry(by).or_default();
        *sum = (sum.0 + own, sum.1 + 1);
    }
    sums.into_iter().map(|(by, (sum, n))| (by, sum / n.max(1) as f64)).collect()
}

fn lines(path: &Path) -> Result<Vec<String>, AppError> {
    let fail = |source| AppError::File { verb: "read", path: path.into(), source };
    Ok(std::fs::read_to_string(path).map_err(fail)?.lines().map(str::to_owned).collect())
}

/// Lines that translate each other.
fn parallel(request: &TransplantRequest) -> Result<Vec<(String, String)>, AppError> {
    let Some((known, new)) = &request.parallel else { return Ok(vec![]) };
    let (known, new) = (lines(known)?, lines(new)?);
    if known.len() != new.len() {
        let what = format!("parallel text of {} and {} lines does not go line by line", known.len(), new.len());
        return Err(TransplantError::Data(what).into());
    }
    Ok(known.into_iter().zip(new).collect())
}

/// Words that translate each other: from a dictionary, and found in parallel text.
fn word_pairs(request: &TransplantRequest, parallel: &[(String, String)]) -> Result<Vec<(String, String)>, AppError> {
    let mut pairs = match &request.dictionary {
        None => vec![],
        Some(path) => {
            let pair = |line: &String| line.split_once('\t').map(|(a, b)| (a.trim().to_string(), b.trim().to_string()));
            lines(path)?.iter().filter_map(pair).collect()
        }
    };
    pairs.extend(dictionary(parallel));
    Ok(pairs)
}
