"""Runs hibrit's training step and that of transformers + PEFT in turn, and reports medians of the pairs.

    python compare.py [--sizes S M] [--rounds 5] [--threads 2] [--embeddings] [--full] [--checkpointing]

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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", nargs="+", default=["S", "M"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--python", help="interpreter of the peer")
    parser.add_argument("--binary", help="hibrit's side, if it is built already")
    for flag in ["--embeddings", "--full", "--checkpointing"]:
        parser.add_argument(flag, action="store_true")
    a = parser.parse_args()
    python = a.python or environment()
    ours = a.binary or built()
    flags = [f for f in ["--embeddings", "--full", "--checkpointing"] if getattr(a, f[2:])]
    print("| size | hibrit tokens/s | peer tokens/s | ratio | of processor time | hibrit MB | peer MB | memory |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for size in a.sizes:
        arguments = ["--size", size, "--steps", str(a.steps), *flags]
        pairs = []
        for _ in range(a.rounds):
            mine = measured([ours, *arguments], a.threads)
            peer = measured([python, str(HERE / "peer.py"), *arguments], a.threads)
            pairs.append((mine, peer))

        def median(of):
            return statistics.median(of(mine, peer) for mine, peer in pairs)

        print(
            f"| {' '.join([size, *flags])} "
            f"| {median(lambda m, p: m['tokens_per_second']):.0f} | {median(lambda m, p: p['tokens_per_second']):.0f} "
            f"| {median(lambda m, p: m['tokens_per_second'] / p['tokens_per_second']):.2f} "
            f"| {median(lambda m, p: p['processor_ms'] / m['processor_ms']):.2f} "
            f"| {median(lambda m, p: m['peak_mb']):.0f} | {median(lambda m, p: p['peak_mb']):.0f} "
            f"| {median(lambda m, p: m['peak_mb'] / p['peak_mb']):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
