//! Bits per byte right after a transplant, by method, as a Markdown table. Nothing is trained.
//!
//! By hand: cargo bench --bench transplant_table -- model=DIR text=F eval=F kib=N candidate=DIR [candidate=DIR]...
//! The first N KiB of `eval` are evaluated, one document a line; learnt methods learn from `text`. `wechsel` takes part
//! where `known=F` (text in the language the model knows) and `lines=OLD,NEW` (parallel text, line by line) are given.
//! `only=NAME` (repeatable) leaves the other methods out; `terms=N` is `omp`'s; `seed=N`.
//! Columns: bits per byte of the tied model (or with both matrices moved); the same with rows' norms matched; and, for a
//! tied base, with a head of its own where rows that are no copies are those of `mean`.

use hibrit::analyze::{TokenizerFile, mapping};
use hibrit::domain::vocabulary::Origin;
use hibrit::execute::device;
use hibrit::execute::embed::{
    Exact, Ground, Initialiser, Learnt, Named, Norms, Request, Side, Specials, Texts, dictionary, rows, transplant,
};
use hibrit::execute::evaluate::HeldOut;
use hibrit::execute::model::ModelFolder;
use hibrit::execute::tokenizer::Coder;
use std::path::Path;
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

/// Context of the evaluation in bytes.
const WINDOW: usize = 1024;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let all = |key: &str| {
        let given = arguments.iter().filter_map(|a| a.strip_prefix(key)?.strip_prefix('=').map(str::to_owned));
        given.collect::<Vec<String>>()
    };
    let one = |key: &str| all(key).into_iter().next();
    let (Some(model), Some(text), Some(eval), Some(kib)) = (one("model"), one("text"), one("eval"), one("kib")) else {
        println!("skipped: this bench is run by hand (see the head of the file)");
        return Ok(());
    };
    let documents = lines(&text)?;
    let source_documents = one("known").map(|f| lines(&f)).transpose()?.unwrap_or_default();
    let pairs = match one("lines").as_deref().and_then(|l| l.split_once(',')) {
        Some((old, new)) => dictionary(&lines(old)?.into_iter().zip(lines(new)?).collect::<Vec<_>>()),
        None => vec![],
    };
    let mut left = kib.parse::<usize>()? * 1024;
    let mut eval = lines(&eval)?;
    eval.retain(|l| {
        let fits = !l.is_empty() && l.len() <= left;
        left = if fits { left - l.len() } else { 0 };
        fits
    });
    let seed: u64 = one("seed").map_or(Ok(1), |s| s.parse())?;
    let terms: Option<usize> = one("terms").map(|t| t.parse()).transpose()?;
    let only = all("only");
    let folder = ModelFolder::open(Path::new(&model))?;
    let source = TokenizerFile::open(Path::new(&model))?;
    let source_coder = coder(&source)?;
    let source_tokens = source_coder.count(&eval)?;
    let base = folder.load(&device::choose("cpu")?.device)?;
    let before = HeldOut::new(&source_coder, &eval, source_tokens, WINDOW)?.evaluate(&base)?.evaluation;
    println!("{} bytes in {} documents; {model} itself: {:.4}", before.bytes, before.documents, before.bits_per_byte);
    let (input, output) = folder.embeddings()?;
    let tokens: Vec<u32> = source.vocabulary.iter().map(|(id, _)| id).collect();
    for path in all("candidate") {
        let candidate = TokenizerFile::open(Path::new(&path))?;
        let candidate_coder = coder(&candidate)?;
        let mapping = mapping(&source, &candidate);
        let shared = mapping.origins.iter().filter(|o| matches!(o, Origin::Exact(_))).count();
        println!("\n{path}: {} rows, {shared} shared\n", mapping.origins.len());
        println!("| method | bits per byte | norms matched | mean head | s |\n| --- | --- | --- | --- | --- |");
        let held_out = HeldOut::new(&candidate_coder, &eval, source_tokens, WINDOW)?;
        let texts = Texts {
            source: &source_coder,
            candidate: &candidate_coder,
            documents: &documents,
            source_documents: &source_documents,
            pairs: &pairs,
            source_tokens: &tokens,
            candidate_tokens: &candidate.vocabulary.iter().map(|(id, _)| id).collect::<Vec<u32>>(),
            donor: None,
            terms,
            dimensions: None,
        };
        for (name, method) in Named::all() {
            let left_out = !only.is_empty() && !only.iter().any(|o| o == name);
            if left_out || method == Named::Learnt(Learnt::Wechsel) && pairs.is_empty() {
                continue;
            }
            let mut cells = Vec::new();
            let mut kept = None;
            let mut seconds = 0.0;
            for norms in [Norms::Kept, Norms::Matched] {
                let (tokens, mapping, output) = (&tokens, &mapping, output.as_ref());
                let request = Request { input: &input, output, tokens, mapping, norms, seed };
                let began = Instant::now();
                let (input, output) = transplant(&request, method, Some(&texts))?;
                seconds = began.elapsed().as_secs_f64();
                if norms == Norms::Kept && output.is_none() {
                    kept = Some(input.clone());
                }
                let model = base.clone().replace_embeddings(input.matrix, output.map(|m| m.matrix))?;
                cells.push(format!("{:.4}", held_out.evaluate(&model)?.evaluation.bits_per_byte));
            }
            if let Some(moved) = kept {
                let ground = Ground::new(&input, &tokens, &mapping, Side::Output, seed)?;
                let chain: Vec<Box<dyn Initialiser>> = vec![Box::new(Exact), Box::new(Specials)];
                let head = rows(&ground, &chain).matrix;
                let model = base.clone().replace_embeddings(moved.matrix, Some(head))?;
                cells.push(format!("{:.4}", held_out.evaluate(&model)?.evaluation.bits_per_byte));
            }
            println!("| {name} | {} | {seconds:.1} |", cells.join(" | "));
        }
    }
    Ok(())
}

fn lines(path: &str) -> Result<Vec<String>, Failure> {
    Ok(std::fs::read_to_string(path)?.lines().map(str::to_owned).collect())
}

fn coder(file: &TokenizerFile) -> Result<Coder, Failure> {
    Ok(Coder::new(&std::fs::read_to_string(&file.path)?, &file.vocabulary)?)
}
