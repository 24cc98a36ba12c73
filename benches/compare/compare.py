r"""Runs hibrit's training step and that of transformers + PEFT in turn, and reports medians of the pairs.

    python compare.py [--cases S M "M --embeddings --untied" Q] [--rounds 5] [--threads 2] \
        [--ours=FLAGS] [--where]

Before the table it measures how fast either side multiplies large f32 matrices; a case's share of the faster one is what
its necessary products would take at that speed. `--where` adds what hibrit's time goes to (needs Linux's perf).

Any Python 3.10 will do: the peer's packages are put into a virtual environment beside this file (.venv, a few GB) unless
--python names an interpreter that has torch, transformers and peft. Run it on a quiet machine: the two take turns so
that a disturbance meets both, but it does not go away. `processor` is the processor time of all threads, which
suffers less from neighbours than the clock does.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def environment():
    """An interpreter with the peer's packages, made where it is missing."""
    place = HERE / ".venv"
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "torch", "transformers", "peft"], check=True)
    return python


def built():
    """The benchmark's binary."""
    command = ["cargo", "bench", "--locked", "--bench", "step", "--no-run", "--message-format", "json"]
    out = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = [json.loads(line) for line in out.splitlines()]
    return next(m["executable"] for m in found if m.get("executable") and m["target"]["name"] == "step")


def measured(command, threads):
    names = ["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "THREADS"]
    limits = {**os.environ, **{name: str(threads) for name in names}}
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=limits)
    return json.loads(out.stdout.splitlines()[-1])


# What functions of the binary, by parts of their names, belong to; the first that fits counts.
PLACES = [
    ("matrix products", ["tile::tile", "sum_of_products", "gemm"]),
    ("copying into panels", ["tile::pack", "transpose"]),
    ("softmax and cross-entropy", ["softmax", "cross_entropy", "nats_row", "column_", "online"]),
    ("gate", ["swiglu"]),
    ("norms and positions", ["norm_row", "turned", "add_product", "attention"]),
    ("optimiser", ["adamw", "gradient"]),
    ("making the model", ["Fresh", "chacha", "sincosf", "logf", "source"]),
    ("threads waiting", ["rayon", "crossbeam", "sched", "futex", "spin_unlock", "switch"]),
    ("memory", ["page", "memmove", "memset", "mi_", "alloc"]),
]


def where(binary, case, threads):
    """Shares of the processor time of a run."""
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / "perf.data"
        record = ["perf", "record", "-q", "-F", "499", "-o", str(data), binary, "--size", *case.split(), "--steps", "20", "--warm", "1"]
        measured(record, threads)
        report = ["perf", "report", "-q", "-i", str(data), "--stdio", "--no-children", "-F", "overhead,sym"]
        out = subprocess.run(report, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    shares = {name: 0.0 for name, _ in PLACES} | {"the rest": 0.0}
    for line in out.splitlines():
        share, _, symbol = line.strip().partition("%")
        if symbol:
            name = next((name for name, parts in PLACES if any(p in symbol for p in parts)), "the rest")
            shares[name] += float(share) / 100
    return sorted(shares.items(), key=lambda x: -x[1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", nargs="+", default=["S", "M", "M --embeddings --untied", "Q"], help="a size and its flags")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--warm", type=int, default=2)
    parser.add_argument("--ours", default="", help="flags of hibrit's side alone, such as --ours=--checkpointing=0.7")
    parser.add_argument("--python", help="interpreter of the peer")
    parser.add_argument("--binary", help="hibrit's side, if it is built already")
    parser.add_argument("--where", action="store_true", help="what the time goes to")
    a = parser.parse_args()
    python = a.python or environment()
    ours = a.binary or built()
    peer_script = [python, str(HERE / "peer.py")]
    peaks = [measured([*command, "--peak"], a.threads)["gigaflops"] for command in ([ours], peer_script)]
    print(f"f32 products of 2,048 x 2,048: hibrit {peaks[0]:.0f}, peer {peaks[1]:.0f} GFLOP/s on {a.threads} threads\n")
    print("| case | hibrit tokens/s | peer tokens/s | ratio | of processor time | hibrit MB | peer MB | memory | of the peak |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for case in a.cases:
        arguments = ["--size", *case.split(), "--steps", str(a.steps), "--warm", str(a.warm)]
        pairs = []
        for _ in range(a.rounds):
            mine = measured([ours, *arguments, *a.ours.split()], a.threads)
            peer = measured([*peer_script, *arguments], a.threads)
            pairs.append((mine, peer))

        def median(of):
            return statistics.median(of(mine, peer) for mine, peer in pairs)

        print(
            f"| {case} "
            f"| {median(lambda m, p: m['tokens_per_second']):.0f} | {median(lambda m, p: p['tokens_per_second']):.0f} "
            f"| {median(lambda m, p: m['tokens_per_second'] / p['tokens_per_second']):.2f} "
            f"| {median(lambda m, p: p['processor_ms'] / m['processor_ms']):.2f} "
            f"| {median(lambda m, p: m['peak_mb']):.0f} | {median(lambda m, p: p['peak_mb']):.0f} "
            f"| {median(lambda m, p: m['peak_mb'] / p['peak_mb']):.2f} "
            f"| {median(lambda m, p: m['gigaflop'] / m['ms'] * 1e3) / max(peaks):.2f} |",
            flush=True,
        )
    for case in a.cases if a.where else []:
        print(f"\n{case}: " + ", ".join(f"{name} {share:.0%}" for name, share in where(ours, case, a.threads)))


if __name__ == "__main__":
    main()
