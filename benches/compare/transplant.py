"""A full-size embedding matrix moved by hibrit and by mergekit's tokensurgeon: time, processor time, peak memory.

    python transplant.py make PLACE SOURCE_TOKENIZER CANDIDATE_TOKENIZER    # needs torch, safetensors
    python transplant.py run PLACE HIBRIT TOKENSURGEON [METHOD...] [--limit SECONDS]

`make` writes PLACE/base (rows of Qwen3, 151,936 x 4,096, random, bfloat16, one small layer) and PLACE/donor (as many rows
as the candidate has tokens). `run` moves the base to the donor's tokenizer by `subtoken` and by `omp` (64 terms, the donor's
embeddings as the space) with both programs, one after the other. A program that is not done after the limit is stopped and
its time is reckoned from the share its own progress bar shows (of the loop alone; loading and writing come on top).
Memory is the largest resident set, mapped files included.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

HIDDEN, ROWS = 4096, 151_936


def make(place, source, candidate):
    import torch
    from safetensors.torch import save_file

    def folder(name, tokenizer, rows):
        path = pathlib.Path(place) / name
        path.mkdir(parents=True)
        file = pathlib.Path(tokenizer)
        shutil.copy(file / "tokenizer.json" if file.is_dir() else file, path / "tokenizer.json")
        (path / "tokenizer_config.json").write_text(json.dumps(dict(tokenizer_class="PreTrainedTokenizerFast")))
        config = dict(
            architectures=["Qwen3ForCausalLM"], model_type="qwen3", hidden_size=HIDDEN, intermediate_size=64,
            num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, head_dim=32, vocab_size=rows,
            max_position_embeddings=1024, rms_norm_eps=1e-6, rope_theta=10000.0, tie_word_embeddings=True,
            hidden_act="silu", attention_bias=False, torch_dtype="bfloat16",
        )
        (path / "config.json").write_text(json.dumps(config))
        torch.manual_seed(len(name))
        normal = lambda *shape: torch.randn(*shape, dtype=torch.bfloat16) * 0.02
        layer = "model.layers.0."
        ones = lambda n: torch.ones(n, dtype=torch.bfloat16)
        save_file({
            "model.embed_tokens.weight": normal(rows, HIDDEN),
            "model.norm.weight": ones(HIDDEN),
            layer + "input_layernorm.weight": ones(HIDDEN),
            layer + "post_attention_layernorm.weight": ones(HIDDEN),
            layer + "self_attn.q_proj.weight": normal(64, HIDDEN),
            layer + "self_attn.k_proj.weight": normal(32, HIDDEN),
            layer + "self_attn.v_proj.weight": normal(32, HIDDEN),
            layer + "self_attn.o_proj.weight": normal(HIDDEN, 64),
            layer + "self_attn.q_norm.weight": ones(32),
            layer + "self_attn.k_norm.weight": ones(32),
            layer + "mlp.gate_proj.weight": normal(64, HIDDEN),
            layer + "mlp.up_proj.weight": normal(64, HIDDEN),
            layer + "mlp.down_proj.weight": normal(HIDDEN, 64),
        }, path / "model.safetensors", metadata={"format": "pt"})

    from tokenizers import Tokenizer
    file = pathlib.Path(candidate)
    rows = Tokenizer.from_file(str(file / "tokenizer.json" if file.is_dir() else file)).get_vocab_size()
    folder("base", source, ROWS)
    folder("donor", candidate, rows)


def measured(command, limit):
    """Wall seconds, processor seconds, peak bytes, share done."""
    log = pathlib.Path("/tmp") / f"transplant-{os.getpid()}.log"
    began = time.time()
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
        stopped = False
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if limit and time.time() - began > limit and not stopped:
                os.kill(process.pid, signal.SIGKILL)
                stopped = True
            time.sleep(0.05)
    wall = time.time() - began
    text = log.read_text(errors="replace")
    log.unlink()
    share = 1.0
    if stopped:
        steps = re.findall(r"Approximating tokens:.*?(\d+)/(\d+) \[(\d+):(\d+)", text)
        share = int(steps[-1][0]) / int(steps[-1][1]) if steps else float("nan")
        if steps and int(steps[-1][0]):
            wall = (int(steps[-1][2]) * 60 + int(steps[-1][3])) / share
    elif status != 0:
        sys.exit(f"{command[0]} failed:\n{text[-2000:]}")
    return wall, (usage.ru_utime + usage.ru_stime) / (share if share == share else 1), usage.ru_maxrss * 1024, share


def run(place, hibrit, surgeon, methods, limit):
    place = pathlib.Path(place)
    base, donor, out = str(place / "base"), str(place / "donor"), place / "out"
    print("| method | program | s | processor s | peak MiB |\n| --- | --- | ---: | ---: | ---: |")
    for method in methods:
        ours = [hibrit, "transplant", "--model", base, "--candidate", donor, "--method", method, "--out", str(out), "--quiet"]
        theirs = [surgeon, base, donor, str(out), "-a", {"subtoken": "subword"}.get(method, method), "-k", "64"]
        if method == "omp":
            ours += ["--donor", donor]
        for name, command in [("hibrit", ours), ("tokensurgeon", theirs)]:
            if command[0] == "-":  # left out
                continue
            shutil.rmtree(out, ignore_errors=True)
            wall, cpu, peak, share = measured(command, limit)
            note = "" if share == 1.0 else f" (reckoned from {share:.0%})"
            print(f"| `{method}` | {name} | {wall:.1f}{note} | {cpu:.1f} | {peak / 2**20:.0f} |", flush=True)
    shutil.rmtree(out, ignore_errors=True)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    limit = None
    if "--limit" in arguments:
        at = arguments.index("--limit")
        limit = float(arguments[at + 1])
        del arguments[at:at + 2]
    if arguments[:1] == ["make"]:
        make(*arguments[1:4])
    elif arguments[:1] == ["run"]:
        run(*arguments[1:4], arguments[4:] or ["subtoken", "omp"], limit)
    else:
        sys.exit(__doc__)
