"""Times the training step of transformers + PEFT on random data: the other side of compare.py and gpu.py."""

import argparse
import json
import os
import statistics
import time

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

parser = argparse.ArgumentParser()
parser.add_argument("--size", default="S")
parser.add_argument("--embeddings", action="store_true")
parser.add_argument("--full", action="store_true")
parser.add_argument("--untied", action="store_true")
parser.add_argument("--checkpointing", action="store_true")
parser.add_argument("--steps", type=int, default=12)
parser.add_argument("--warm", type=int, default=3)
parser.add_argument("--device", default="cpu")
parser.add_argument("--bf16", action="store_true", help="the base in 16 bits, adapters and what is trained in 32")
parser.add_argument("--rows", type=int, help="another size of vocabulary")
parser.add_argument("--batch", type=int, help="another number of sequences a step")
parser.add_argument("--peak", action="store_true", help="the speed of a large matrix product instead")
a = parser.parse_args()

torch.set_num_threads(int(os.environ.get("THREADS", "2")))
torch.manual_seed(0)


def wait():
    if a.device != "cpu":
        torch.cuda.synchronize()


if a.peak:
    n, best = 2048 if a.device == "cpu" else 8192, float("inf")
    kind = torch.bfloat16 if a.bf16 else torch.float32
    x, y = (torch.rand(n, n, device=a.device).to(kind) for _ in range(2))
    for _ in range(10):
        start = time.perf_counter()
        x @ y
        wait()
        best = min(best, time.perf_counter() - start)
    print(json.dumps({"who": f"torch {torch.__version__}", "gigaflops": 2 * n**3 / best / 1e9}))
    raise SystemExit
# rows, hidden, intermediate, layers, heads, kv_heads, head_dim, batch, length: as in step.rs
SIZES = {
    "T": (1000, 64, 128, 2, 4, 2, 16, 2, 32),
    "S": (8000, 256, 768, 4, 8, 4, 32, 8, 128),
    "M": (32000, 512, 1536, 8, 8, 4, 64, 4, 256),
    "Q": (151936, 1024, 3072, 28, 16, 8, 128, 1, 256),
    "G": (151936, 4096, 12288, 36, 32, 8, 128, 4, 1024),
}
rows, hidden, intermediate, layers, heads, kv, head_dim, batch, length = SIZES[a.size]
rows, batch = a.rows or rows, a.batch or batch
config = Qwen3Config(
    vocab_size=rows, hidden_size=hidden, intermediate_size=intermediate, num_hidden_layers=layers,
    num_attention_heads=heads, num_key_value_heads=kv, head_dim=head_dim, max_position_embeddings=2048,
    tie_word_embeddings=not a.untied, attn_implementation="sdpa",
)
torch.set_default_dtype(torch.bfloat16 if a.bf16 else torch.float32)
with torch.device(a.device):
    model = Qwen3ForCausalLM(config)
torch.set_default_dtype(torch.float32)
model.config.use_cache = False
if not a.full:
    from peft import LoraConfig, get_peft_model

    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    save = (["embed_tokens"] if not a.untied else ["embed_tokens", "lm_head"]) if a.embeddings else None
    model = get_peft_model(model, LoraConfig(
        r=16, lora_alpha=32, target_modules=targets, modules_to_save=save,
        **(dict(ensure_weight_tying=True) if a.embeddings and not a.untied else {}),
    ))
if a.checkpointing:
    model.gradient_checkpointing_enable()
    model.enable_input_require_grads()
model.train()
for p in model.parameters():
    if p.requires_grad:
        p.data = p.data.float()
trained = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0)
generator = torch.Generator().manual_seed(1)
times, losses = [], []
for step in range(a.warm + a.steps):
    ids = torch.randint(0, rows, (batch, length + 1), generator=generator)
    if step == a.warm:
        processor = time.process_time()
    start = time.perf_counter()
    ids = ids.to(a.device)
    with torch.autocast(a.device.split(":")[0], torch.bfloat16, enabled=a.bf16):
        logits = model(input_ids=ids[:, :-1]).logits
    loss = torch.nn.functional.cross_entropy(logits.float().view(-1, rows), ids[:, 1:].reshape(-1))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    wait()
    if step >= a.warm:
        times.append(time.perf_counter() - start)
    losses.append(loss.item())
processor = (time.process_time() - processor) / a.steps * 1e3
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
median = statistics.median(times)
print(json.dumps({
    "who": f"torch {torch.__version__}", "size": a.size, "tokens_per_second": batch * length / median,
    "ms": median * 1e3, "ms_best": min(times) * 1e3, "processor_ms": processor, "peak_mb": int(peak.split()[1]) / 1024,
    "trained": sum(p.numel() for p in trained), "losses": [losses[0], losses[-1]],
}))
