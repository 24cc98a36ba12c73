"""Everything the comparison on a GPU needs, in one call: builds the `cuda` feature, then runs hibrit and transformers + PEFT
in turn on a Qwen3-8B-shaped model (random weights, base in bf16, LoRA r = 16 on seven projections, 4 x 1,024 tokens), and
writes a table in Markdown.

    python gpu.py --python PYTHON [--out results.md]           # on a machine with a CUDA GPU
    python gpu.py --python PYTHON --device cpu --size T        # its CPU parts, in a minute

PYTHON has torch, transformers and peft. Memory on the GPU is what nvidia-smi shows of the process, every 200 ms.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def built(cuda):
    features = ["--features", "cuda"] if cuda else []
    command = ["cargo", "bench", "--locked", *features, "--bench", "step", "--no-run", "--message-format", "json"]
    out = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = [json.loads(line) for line in out.splitlines()]
    return next(m["executable"] for m in found if m.get("executable") and m["target"]["name"] == "step")


def watched(command, on_gpu):
    """The command's JSON, and the most memory it held on the GPU, in MB."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    most = 0

    def look():
        nonlocal most
        query = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
        while child.poll() is None:
            for line in subprocess.run(query, stdout=subprocess.PIPE, text=True).stdout.splitlines():
                pid, used = line.split(",")
                if int(pid) == child.pid:
                    most = max(most, int(used))
            time.sleep(0.2)

    watcher = threading.Thread(target=look, daemon=True)
    if on_gpu:
        watcher.start()
    out, errors = child.communicate()
    if child.returncode != 0:
        lines = errors.strip().splitlines()
        return {"failed": lines[-1] if lines else f"exit code {child.returncode}"}
    result = json.loads(out.splitlines()[-1])
    result["memory_mb"] = most if on_gpu else result["peak_mb"]
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", required=True, help="interpreter of the peer")
    parser.add_argument("--binary", help="hibrit's side, if it is built already")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--size", default="G")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--out", type=pathlib.Path)
    a = parser.parse_args()
    on_gpu = a.device != "cpu"
    ours = a.binary or built(on_gpu)
    peer = [a.python, str(HERE / "peer.py")]
    peak = subprocess.run([*peer, "--peak", "--bf16", "--device", a.device], check=True, stdout=subprocess.PIPE, text=True)
    peak = json.loads(peak.stdout.splitlines()[-1])["gigaflops"]
    machine = platform.processor() or platform.machine()
    if on_gpu:
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        machine = subprocess.run(query, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    rows = [
        f"{datetime.date.today()}, {machine}, {os.cpu_count()} cores; bf16 products reach {peak / 1e3:.2f} TFLOP/s. Command: `gpu.py`.",
        "",
        "| trained | vocabulary | hibrit tokens/s | peer tokens/s | ratio | share of peak | hibrit MB | peer MB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    small = a.size == "T"
    cases = [("adapters", None, [])]
    cases += [("adapters, embeddings, head", n, ["--embeddings"]) for n in ([500] if small else [32_000, 151_936])]
    for name, vocabulary, flags in cases:
        flags = ["--size", a.size, "--untied", "--bf16", "--device", a.device, "--steps", str(a.steps), "--warm", "2", *flags]
        flags += ["--rows", str(vocabulary)] if vocabulary else []
        pairs = [(watched([ours, *flags], on_gpu), watched([*peer, *flags], on_gpu)) for _ in range(a.rounds)]
        failed = [r["failed"] for pair in pairs for r in pair if "failed" in r]
        if failed:
            rows.append(f"| {name} | {vocabulary or 'own'} | failed: {failed[0]} | | | | | |")
            continue

        def median(of):
            return statistics.median(of(mine, theirs) for mine, theirs in pairs)

        rows.append(
            f"| {name} | {vocabulary or 'own'} "
            f"| {median(lambda m, p: m['tokens_per_second']):.0f} | {median(lambda m, p: p['tokens_per_second']):.0f} "
            f"| {median(lambda m, p: m['tokens_per_second'] / p['tokens_per_second']):.2f} "
            f"| {median(lambda m, p: m['gigaflop'] / m['ms'] * 1e3 / peak):.2f} "
            f"| {median(lambda m, p: m['memory_mb']):.0f} | {median(lambda m, p: p['memory_mb']):.0f} |"
        )
    text = "\n".join(rows) + "\n"
    print(text)
    if a.out:
        a.out.write_text(text)


if __name__ == "__main__":
    main()
