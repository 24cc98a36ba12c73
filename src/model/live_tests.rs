//! hibrit's half of `tests/fixtures/live_compare.py`, which makes models and adapters, runs this, and compares.

use crate::domain::strategy::Checkpointing;
use crate::kernels::numbers;
use crate::model::adapter;
use crate::model::generate::{Choice, GenerateOptions, tokens};
use crate::model::{
    Batch, Decoder, Dtype, LoraConfig, ModelFolder, Outgoing, StepOptions, Weights, save_model, write_tensors,
};
use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use std::ops::ControlFlow;
use std::path::Path;

/// One step of plain gradient descent.
struct Descend(GradientsParams);

impl ModuleMapper for Descend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(gradient) = self.0.remove::<D>(param.id) else { return param };
        param.map(|t| (t.inner() - gradient.mul_scalar(0.5)).autodiff().require_grad())
    }
}

/// An adapter, and embeddings, that really learnt something.
fn trained(decoder: Decoder, ids: &[u32], embeddings: bool) -> Decoder {
    let lora = LoraConfig::everywhere(4, 8.0, 0.0);
    let mut decoder = decoder.with_lora(&lora, 3).train_embeddings(embeddings);
    let targets: Vec<u32> = ids.iter().map(|id| (id + 1) % 40).collect();
    let batch = Batch { ids, targets: &targets, weights: None, shape: [1, ids.len()] };
    for _ in 0..4 {
        let options = StepOptions { scale: 1.0 / ids.len() as f32, dropout: None, checkpointing: Checkpointing::OFF };
        let step = decoder.step(&batch, &options).expect("the batch fits").whole(&decoder);
        decoder = decoder.map(&mut Descend(step.grads));
    }
    decoder
}

fn compare(case: &Path) {
    let load = || ModelFolder::open(&case.join("base")).and_then(|f| f.load(&Device::flex())).expect("a base");
    let ids = Weights::open(case, "ids").and_then(|w| w.read("ids")).expect("ids");
    let ids: Vec<u32> = ids.iter().map(|x| *x as u32).collect();
    let logits = |d: &Decoder| numbers(d.logits(&ids, [1, ids.len()]).expect("ids fit")).expect("Flex can be read");
    let base = load();
    let mut out = vec![("base", logits(&base))];
    out.push(("peft", logits(&adapter::load(&case.join("peft"), load()).expect("an adapter of PEFT's"))));
    for (name, embeddings) in [("own", false), ("own_embeddings", true)] {
        let own = trained(load(), &ids, embeddings);
        adapter::save(&case.join(name), &own, "base").expect("room to write");
        out.push((name, logits(&own)));
        let merged = own.merged();
        save_model(&case.join(format!("{name}_merged")), &merged, base.config(), Dtype::F32).expect("room to write");
        let request = GenerateOptions { choice: Choice::Greedy, limit: 16, stop: vec![], rows: None };
        let (written, _) = tokens(&merged, &ids[..4], &request, &mut |_| ControlFlow::Continue(())).expect("ids fit");
        out.push((
            if embeddings { "own_embeddings_greedy" } else { "own_greedy" },
            written.iter().map(|id| *id as f32).collect(),
        ));
    }
    let tensors: Vec<(String, Outgoing<'_>)> = out
        .iter()
        .map(|(name, all)| {
            ((*name).to_string(), Outgoing { shape: vec![all.len()], numbers: Box::new(|| Ok(all.clone())) })
        })
        .collect();
    write_tensors(&case.join("hibrit.safetensors"), &tensors, Dtype::F32).expect("room to write");
}

#[test]
#[ignore = "run by tests/fixtures/live_compare.py, which makes its input"]
fn live_comparison() {
    let place = std::env::var("HIBRIT_LIVE").expect("HIBRIT_LIVE names the folder of cases");
    for case in std::fs::read_dir(place).expect("a folder of cases") {
        compare(&case.expect("a readable folder").path());
    }
}
