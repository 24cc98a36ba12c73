//! Bits per byte right after a transplant, by method, as a Markdown table. Nothing is trained.
//!
//! By hand: cargo bench --bench transplant_table -- MODEL HELPER_TEXT EVAL_TEXT EVAL_KIB CANDIDATE...
//! MODEL and each CANDIDATE are folders with a tokenizer.json; the first EVAL_KIB KiB of EVAL_TEXT are evaluated, one
//! document a line; helper spaces are learnt from HELPER_TEXT.

use hibrit::analyze::{TokenizerFile, mapping};
use hibrit::domain::vocabulary::{Mapping, Origin};
use hibrit::execute::device;
use hibrit::execute::embed::{self, Align, Anchors, Clp, Exact, Focus, Ground, Initialiser, Method, Omp, Side};
use hibrit::execute::embed::{Random, Space, SpaceConfig, Specials, Subtoken, Weighting};
use hibrit::execute::evaluate::HeldOut;
use hibrit::execute::model::{Matrix, ModelFolder};
use hibrit::execute::tokenizer::Coder;
use std::path::Path;
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

/// Context of the evaluation in bytes.
const WINDOW: usize = 1024;
const SEED: u64 = 1;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let [model, helper, eval, kib, candidates @ ..] = arguments.as_slice() else {
        println!("skipped: give MODEL HELPER_TEXT EVAL_TEXT EVAL_KIB CANDIDATE... (see the head of the file)");
        return Ok(());
    };
    let (helper, eval) = (std::fs::read_to_string(helper)?, std::fs::read_to_string(eval)?);
    let helper: Vec<&str> = helper.lines().collect();
    let mut left = kib.parse::<usize>()? * 1024;
    let eval: Vec<&str> = eval
        .lines()
        .filter(|l| !l.is_empty())
        .take_while(|l| {
            let fits = l.len() <= left;
            left = left.saturating_sub(l.len());
            fits
        })
        .collect();
    let folder = ModelFolder::open(Path::new(model))?;
    let source = TokenizerFile::open(Path::new(model))?;
    let source_coder = coder(&source)?;
    let tokens = source_coder.count(&eval)?;
    let base = folder.load(&device::choose("cpu")?.device)?;
    let before = HeldOut::new(&source_coder, &eval, tokens, WINDOW)?.evaluate(&base)?.evaluation;
    println!("{} bytes in {} documents; {model} itself: {:.4}", before.bytes, before.documents, before.bits_per_byte);
    let embeddings = folder.embeddings()?;
    let known: Vec<u32> = source.vocabulary.iter().map(|(id, _)| id).collect();
    for path in candidates {
        let candidate = TokenizerFile::open(Path::new(path))?;
        let candidate_coder = coder(&candidate)?;
        let mapping = mapping(&source, &candidate);
        let exact = mapping.origins.iter().filter(|o| matches!(o, Origin::Exact(_))).count();
        println!(
            "\n{path}: {} rows, {exact} shared\n\n| method | bits per byte | s |\n| --- | --- | --- |",
            mapping.origins.len()
        );
        let held_out = HeldOut::new(&candidate_coder, &eval, tokens, WINDOW)?;
        let row = |name: &str, chain: &[Box<dyn Initialiser + '_>]| -> Result<(), Failure> {
            let began = Instant::now();
            let (input, output) = moved(&embeddings, &known, &mapping, chain)?;
            let seconds = began.elapsed().as_secs_f64();
            let model = base.clone().replace_embeddings(input, output)?;
            let evaluation = held_out.evaluate(&model)?.evaluation;
            println!("| {name} | {:.4} | {seconds:.1} |", evaluation.bits_per_byte);
            Ok(())
        };
        for (name, method) in Method::all() {
            row(name, &method.chain())?;
        }
        let config = SpaceConfig { seed: SEED, ..SpaceConfig::default() };
        let began = Instant::now();
        let space = Space::learn(&candidate_coder, &helper, &config)?;
        let anchors = Anchors::new(&space, &mapping, &embeddings.0);
        let (space, anchors) = (&space, &anchors);
        eprintln!("helper space: {:.1} s, {} anchors", began.elapsed().as_secs_f64(), anchors.len());
        row("focus", &chain(Focus { space, anchors }))?;
        row("clp", &chain(Clp { space, anchors }))?;
        for terms in [4, 16, 64] {
            row(&format!("omp, {terms} terms"), &chain(Omp { space, anchors, terms }))?;
        }
        let began = Instant::now();
        let align = Align::learn(&source_coder, &candidate_coder, &mapping, &helper, &config)?;
        eprintln!("pivots: {:.1} s", began.elapsed().as_secs_f64());
        row("align", &chain(align))?;
    }
    Ok(())
}

fn coder(file: &TokenizerFile) -> Result<Coder, Failure> {
    Ok(Coder::new(&std::fs::read_to_string(&file.path)?, &file.vocabulary)?)
}

/// Shared tokens copied, then the method, then pieces, then chance.
fn chain<'a>(method: impl Initialiser + 'a) -> Vec<Box<dyn Initialiser + 'a>> {
    let rest = Box::new(Subtoken(Weighting::Equal));
    vec![Box::new(Exact), Box::new(Specials), Box::new(method), rest, Box::new(Random)]
}

fn moved(
    (input, output): &(Matrix, Option<Matrix>),
    known: &[u32],
    mapping: &Mapping,
    chain: &[Box<dyn Initialiser + '_>],
) -> Result<(Matrix, Option<Matrix>), Failure> {
    let one = |matrix: &Matrix, side: Side| -> Result<Matrix, Failure> {
        let ground = Ground::new(matrix, known, mapping, side, SEED)?;
        Ok(embed::rows(&ground, chain).matrix)
    };
    Ok((one(input, Side::Input)?, output.as_ref().map(|m| one(m, Side::Output)).transpose()?))
}
