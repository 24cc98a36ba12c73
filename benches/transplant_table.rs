//! Bits per byte right after a transplant, by method, as a Markdown table. Nothing is trained.
//!
//! By hand: cargo bench --bench transplant_table -- model=DIR text=F eval=F kib=N candidate=DIR [candidate=DIR]...
//! The first N KiB of `eval` are evaluated, one document a line; learnt methods learn from `text`. `wechsel` and `trans`
//! take part where `known=F` (text in the language the model knows) and `lines=OLD,NEW` (parallel text, line by line) are given.
//! `only=NAME` (repeatable) leaves the other methods out; `terms=N` is `omp`'s; `seed=N`; `donor=DIR`, a model with the
//! candidate's tokenizer, gives the helper space in the text's place.
//! Columns: bits per byte of the tied model (or with both matrices moved); the same with rows' norms matched; and, for a
//! tied base, with a head of its own where rows that are no copies are those of `mean`.

use hibrit::analyze::mapping;
use hibrit::domain::vocabulary::Origin;
use hibrit::model::device;
use hibrit::model::evaluate::HeldOut;
use hibrit::model::{Matrix, ModelFolder};
use hibrit::tokenizer::Coder;
use hibrit::tokenizer::TokenizerFile;
use hibrit::transplant::{
    EmbeddingTable, Method, Norms, Texts, TransplantInputs, dictionary, mean_norm, transplant, transplant_apart,
    with_norm,
};
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
    let parallel: Vec<(String, String)> = match one("lines").as_deref().and_then(|l| l.split_once(',')) {
        Some((old, new)) => lines(old)?.into_iter().zip(lines(new)?).collect(),
        None => vec![],
    };
    let pairs = dictionary(&parallel);
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
    let donor = one("donor").map(|d| ModelFolder::open(Path::new(&d))).transpose()?;
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
            parallel: &parallel,
            source_tokens: &tokens,
            candidate_tokens: &candidate.vocabulary.iter().map(|(id, _)| id).collect::<Vec<u32>>(),
            donor: donor.as_ref().and_then(|d| d.tables().0).map(EmbeddingTable::Stored),
            teacher: Some(&base),
            terms,
            dimensions: None,
        };
        for method in Method::all() {
            let name = method.name();
            let left_out = !only.is_empty() && !only.iter().any(|o| o == name);
            let bilingual = matches!(method, Method::Wechsel | Method::Trans);
            if left_out || bilingual && pairs.is_empty() {
                continue;
            }
            let (tokens, mapping, output) = (&tokens, &mapping, output.as_ref());
            let request = TransplantInputs { input: &input, output, tokens, mapping, norms: Norms::Kept, seed };
            let bits = |input: &Matrix, output: Option<&Matrix>| -> Result<String, Failure> {
                let model = base.clone().replace_embeddings(input.clone(), output.cloned())?;
                Ok(format!("{:.4}", held_out.evaluate(&model)?.evaluation.bits_per_byte))
            };
            let began = Instant::now();
            let (mut made, mut head) = transplant(&request, method, Some(&texts))?;
            let seconds = began.elapsed().as_secs_f64();
            let mut cells = vec![bits(&made.matrix, head.as_ref().map(|h| &h.matrix))?];
            let mean_head = match head {
                Some(_) => String::new(),
                None => {
                    // Rows of the same method; but `distill` looks at what they are for.
                    let apart = TransplantInputs { output: Some(&input), ..request };
                    let flat = Method::OverlapMean;
                    let first = if method == Method::Distill { method } else { flat };
                    let (own, flat) = transplant_apart(&apart, (first, flat), Some(&texts))?;
                    let own = if method == Method::Distill { &own } else { &made };
                    bits(&own.matrix, flat.as_ref().map(|h| &h.matrix))?
                }
            };
            let length = mean_norm(&(&input).into(), tokens);
            with_norm(&mut made.matrix, &made.by_row, length);
            if let (Some(head), Some(old)) = (&mut head, output) {
                with_norm(&mut head.matrix, &head.by_row, mean_norm(&old.into(), tokens));
            }
            cells.push(bits(&made.matrix, head.as_ref().map(|h| &h.matrix))?);
            cells.push(mean_head);
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
