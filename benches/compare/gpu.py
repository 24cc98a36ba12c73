"""Everything that a GPU is asked, in one call with a time limit: does hibrit compute right there, how fast is it, how
much memory does it take, beside transformers + PEFT in the same call.

    python gpu.py --binary BINARY [--data DIR] [--device cuda:0] [--limit 480] [--parts check,losses,...] [--out DIR]

BINARY is hibrit, built with the feature `cuda` (`cargo build --release --features cuda`); an .xz is unpacked. Nothing is
fetched and nothing else is needed but a Python with torch, transformers and peft for the peer's side; without them its lines
say so. DIR holds `base/` (a small model), `candidate/` (a tokenizer), `train.txt` and `eval.txt`; without it the parts `strategies` and
`auto` are left out. Every part has its own limit and its own lines of result: a broken one costs only itself.

| part | question |
| --- | --- |
| check | which devices are there; do a product, a reduction and an attention agree with the CPU? |
| losses | do 20 steps of a small model (adapters, embeddings and head, everything) have the CPU's losses? |
| shape8b | Qwen3-8B's shape, base in bf16, r = 16: tokens/s and memory at 1 x 1,024 and what fits, beside the peer |
| rows32k | the same with embeddings and head of 32,000 rows trained |
| strategies | does every strategy on a small real model end where it ends on the CPU? |
| auto | `auto` on the small model: the same outcome as on the CPU, and how long it takes |
| profile | where the time of an 8B-shaped step goes, by kernel (CubeCL's own log) |
"""

import argparse
import datetime
import json
import lzma
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
#: Sizes of `losses`, as a config.json.
TINY = dict(vocab_size=1000, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=16)
#: Qwen3-8B's.
EIGHT = dict(vocab_size=151936, hidden_size=4096, intermediate_size=12288, num_hidden_layers=36,
             num_attention_heads=32, num_key_value_heads=8, head_dim=128)


def config(folder, name, sizes):
    text = dict(architectures=["Qwen3ForCausalLM"], model_type="qwen3", hidden_act="silu", rms_norm_eps=1e-6,
                rope_theta=1e6, max_position_embeddings=4096, tie_word_embeddings=False, **sizes)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(text))
    return str(path)


class Calls:
    """Runs commands one after the other, within what is left of the time, and keeps what came out."""

    def __init__(self, limit, out, on_gpu):
        self.end, self.out, self.on_gpu = time.monotonic() + limit, out, on_gpu
        self.lines = []
        self.log = (out / "log.txt").open("w")

    def say(self, line):
        print(line, flush=True)
        self.lines.append(line)
        (self.out / "results.md").write_text("\n".join(self.lines) + "\n")

    def run(self, command, limit, env=None):
        """(exit code or 'time', stdout, seconds, most memory of any process on the GPU in MB)."""
        limit = min(limit, self.end - time.monotonic())
        if limit < 5:
            return "no time left", "", 0.0, 0
        start, most, done = time.monotonic(), 0, threading.Event()

        def watch():
            nonlocal most
            query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
            while not done.wait(0.3):
                try:
                    used = subprocess.run(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=5)
                    most = max(most, int(used.stdout.split()[0]))
                except (OSError, ValueError, IndexError, subprocess.SubprocessError):
                    return

        if self.on_gpu:
            threading.Thread(target=watch, daemon=True).start()
        print(f"$ {' '.join(map(str, command))}", file=self.log, flush=True)
        try:
            done_process = subprocess.run(
                [str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=limit,
                env={**os.environ, **(env or {})},
            )
            code, stdout, stderr = done_process.returncode, done_process.stdout, done_process.stderr
        except subprocess.TimeoutExpired as e:
            code = "time"
            stdout, stderr = ((x or b"").decode(errors="replace") for x in (e.stdout, e.stderr))
        done.set()
        seconds = time.monotonic() - start
        print(stdout[-20000:], stderr[-20000:], f"[{code}, {seconds:.1f} s]\n", sep="\n", file=self.log, flush=True)
        if code != 0:
            self.say(f"  failed ({code}, {seconds:.0f} s): {' | '.join(stderr.strip().splitlines()[-3:])[:600]}")
        return code, stdout, seconds, most


def last_json(text):
    start = text.find("{")
    try:
        return json.loads(text[start:]) if start >= 0 else None
    except ValueError:
        lines = [line for line in text.splitlines() if line.startswith("{")]
        return json.loads(lines[-1]) if lines else None


def check(c, a):
    code, out, seconds, _ = c.run([a.binary, "device", "list"], 60)
    c.say("\n".join("  " + line for line in out.strip().splitlines()))
    code, out, seconds, _ = c.run([a.binary, "device", "check", "--device", a.device], 90)
    c.say("\n".join("  " + line for line in out.strip().splitlines()) + f"\n  ({seconds:.0f} s)")


def losses(c, a):
    tiny = config(c.out, "tiny", TINY)
    for name, flags in [("adapters", []), ("embeddings, head", ["--embeddings"]), ("everything", ["--full"]),
                        ("bf16 base", ["--bf16"]), ("recomputed", ["--checkpointing", "1"])]:
        flags = ["--f32", *flags] if "--bf16" not in flags else []
        found = []
        for device in ["cpu", a.device]:
            command = [a.binary, "device", "time", "--json", "--seeded", "--model", tiny, "--device", device,
                       "--batch", "2", "--sequence", "32", "--steps", "18", *flags]
            code, out, seconds, _ = c.run(command, 90)
            result = last_json(out) if code == 0 else None
            if result is None:
                break
            found.append((result["losses"], seconds))
        if len(found) == 2:
            (cpu, _), (gpu, seconds) = found
            worst = max(abs(x - y) for x, y in zip(cpu, gpu))
            c.say(f"  {name}: 20 steps, losses {cpu[0]:.5f} -> {cpu[-1]:.5f} (CPU), {gpu[0]:.5f} -> {gpu[-1]:.5f} (GPU), "
                  f"largest difference {worst:.1e}, {seconds:.1f} s")


def timed(c, a, name, flags, peer_flags, limit):
    """The peer first: it needs no tuning, and must not be left what that leaves."""
    eight = config(c.out, "eight", EIGHT)
    mine = theirs = None
    if a.python:
        command = [a.python, HERE / "peer.py", "--size", "G", "--untied", "--bf16", "--device", a.device, "--steps", "5",
                   "--warm", "2", *peer_flags]
        code, out, seconds, most = c.run(command, limit)
        theirs = last_json(out.strip().splitlines()[-1]) if code == 0 and out.strip() else None
        if theirs:
            c.say(f"  {name}: {theirs['who']} + PEFT {theirs['tokens_per_second']:.0f} tokens/s, {theirs['ms']:.0f} ms a step, "
                  f"{most} MiB on the GPU, {seconds:.0f} s")
    command = [a.binary, "device", "time", "--json", "--model", eight, "--device", a.device, *flags, *a.shape]
    code, out, seconds, most = c.run(command, limit)
    mine = last_json(out) if code == 0 else None
    if mine:
        c.say(f"  {name}: hibrit {mine['tokens_per_second']:.0f} tokens/s, {mine['ms']:.0f} ms a step (first {mine['first_ms'] / 1e3:.1f} s, "
              f"update {mine['update_ms']:.0f} ms), {mine['gigaflop'] / mine['ms']:.0f} TFLOP/s of products, {most} MiB on the GPU "
              f"(own pool {(mine['peak_bytes'] or 0) / 2**20:.0f} MiB), loss {mine['losses'][0]:.3f} -> {mine['losses'][-1]:.3f}, {seconds:.0f} s")
    if mine and theirs:
        c.say(f"  {name}: ratio {mine['tokens_per_second'] / theirs['tokens_per_second']:.2f}")


def shape8b(c, a):
    if a.python and a.device != "cpu":
        code, out, _, _ = c.run([a.python, HERE / "peer.py", "--peak", "--bf16", "--device", a.device], 60)
        if code == 0:
            c.say(f"  bf16 products of 8,192 x 8,192 reach {last_json(out)['gigaflops'] / 1e3:.0f} TFLOP/s in torch")
    timed(c, a, "1 x 1,024", ["--batch", "1"], ["--batch", "1"], 150)
    timed(c, a, "4 x 1,024, recomputed", ["--batch", "4", "--checkpointing", "1"], ["--batch", "4", "--checkpointing"], 120)


def rows32k(c, a):
    flags = ["--batch", "1", "--rows", "32000", "--embeddings"]
    timed(c, a, "1 x 1,024, 32,000 rows trained", flags, ["--batch", "1", "--rows", "32000", "--embeddings"], 100)


def strategy_run(c, a, device, arguments, limit):
    out = pathlib.Path(tempfile.mkdtemp(dir=c.out)) / "run"
    data = a.data
    command = [a.binary, "--history", out.parent / "history.redb", *arguments, "--model", data / "base", "--candidate", data / "candidate",
               "--train", data / "train.txt", "--eval", data / "eval.txt", "--out", out, "--device", device, "--json", "-q"]
    code, text, seconds, _ = c.run(command, limit)
    run = last_json(text) if text.strip() else None
    shutil.rmtree(out.parent, ignore_errors=True)
    outcome = (run or {}).get("outcome") or ((run or {}).get("run") or {}).get("outcome") or {}
    return outcome, seconds


def strategies(c, a):
    for name in ["keep", "direct", "sequential", "extend", "structural", "emergency"]:
        arguments = ["run", name, "--train-bytes", "60kb", "--set", "sequence=64", "--set", "epochs=1"]
        found = [strategy_run(c, a, device, arguments, 100) for device in (a.device, "cpu")]
        if all(o.get("bits_per_byte") for o, _ in found):
            (there, seconds), (here, cpu_seconds) = found
            apart = there["bits_per_byte"] - here["bits_per_byte"]
            c.say(f"  {name}: {there['bits_per_byte']:.4f} bits per byte on the GPU in {seconds:.0f} s, "
                  f"{here['bits_per_byte']:.4f} on the CPU in {cpu_seconds:.0f} s, difference {apart:+.4f}")
        else:
            c.say(f"  {name}: no outcome ({[sorted(o) for o, _ in found]})")


def auto(c, a):
    found = [strategy_run(c, a, device, ["auto", "--train-bytes", "300kb"], 150) for device in (a.device, "cpu")]
    for device, (outcome, seconds) in zip((a.device, "cpu"), found):
        c.say(f"  {device}: {outcome.get('strategy')}, {outcome.get('bits_per_byte')} bits per byte, {seconds:.0f} s")


def profile(c, a):
    eight = config(c.out, "eight", EIGHT)
    log = c.out / "profile.log"
    log.unlink(missing_ok=True)
    command = [a.binary, "device", "time", "--json", "--model", eight, "--device", a.device, "--batch", "1", "--layers", "4",
               "--steps", "2", *a.shape]
    c.run(command, 60, env={"CUBECL_DEBUG_OPTION": "profile-medium", "CUBECL_DEBUG_LOG": str(log)})
    if log.is_file():
        text = log.read_text(errors="replace")
        (c.out / "profile-end.txt").write_text(text[-200_000:])
        log.unlink()
        c.say(f"  {len(text.splitlines())} lines; the end is in profile-end.txt")


PARTS = dict(check=check, losses=losses, shape8b=shape8b, rows32k=rows32k, strategies=strategies, auto=auto, profile=profile)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, type=pathlib.Path)
    parser.add_argument("--python", default=sys.executable, help="interpreter of the peer; '' leaves it out")
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--limit", type=float, default=480, help="seconds for everything")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--shape", default="", help="more flags for the 8B shape's steps, e.g. '--layers 2'")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("gpu-results"))
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    a.out = a.out.resolve()
    a.shape = a.shape.split()
    a.data = a.data and a.data.resolve()
    if a.binary.suffix == ".xz":
        plain = a.out / "hibrit"
        plain.write_bytes(lzma.open(a.binary).read())
        plain.chmod(0o755)
        a.binary = plain
    a.binary = a.binary.resolve()
    if a.python and subprocess.run([a.python, "-c", "import torch, transformers, peft"], capture_output=True).returncode != 0:
        print("the peer's packages are not there: its lines are left out")
        a.python = ""
    on_gpu = a.device != "cpu" and shutil.which("nvidia-smi") is not None
    machine = platform.processor() or platform.machine()
    if on_gpu:
        query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        machine = subprocess.run(query, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    c = Calls(a.limit, a.out, on_gpu)
    c.say(f"{datetime.date.today()}, {machine}, {os.cpu_count()} cores. Command: gpu.py {' '.join(sys.argv[1:])}")
    for name in a.parts.split(","):
        if name in ("strategies", "auto") and not a.data:
            continue
        start = time.monotonic()
        c.say(f"{name}:")
        try:
            PARTS[name](c, a)
        except Exception as e:  # a broken part costs only itself
            c.say(f"  broken: {type(e).__name__}: {e}")
        c.say(f"  [{time.monotonic() - start:.0f} s]")
    if a.out.joinpath("hibrit").exists():
        a.out.joinpath("hibrit").unlink()


if __name__ == "__main__":
    main()
