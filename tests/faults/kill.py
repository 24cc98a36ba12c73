#!/usr/bin/env python3
"""Kills runs with SIGKILL at random points, goes on with each until it is done, and compares what came out with a run
that nobody killed: the same bits per byte, a model that can be evaluated, a history that tells of one run that is done.

    python3 tests/faults/kill.py --hibrit target/release/hibrit --kills 50 --work DIR -- run sequential --model ...

Everything after `--` is a command line of hibrit without --out, --history and --json. One killed run may be killed
several times; --kills counts kills. Exits with 1 where anything differs.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path


def call(binary, arguments, history):
    done = subprocess.run([binary, *arguments, "--json", "--quiet", "--history", str(history)], capture_output=True, text=True)
    return done.returncode, (json.loads(done.stdout) if done.stdout.strip() else None), done.stderr


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--hibrit", required=True)
    p.add_argument("--kills", type=int, default=50)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("command", nargs="+")
    a = p.parse_args()
    rng = random.Random(a.seed)
    a.work.mkdir(parents=True, exist_ok=True)
    began = time.time()
    code, whole, stderr = call(a.hibrit, [*a.command, "--out", str(a.work / "whole")], a.work / "whole.redb")
    if code != 0:
        sys.exit(f"the run that nobody kills fails: {stderr}")
    seconds = time.time() - began
    expected = whole["outcome"]["bits_per_byte"]
    print(f"unkilled: {expected:.6f} bits per byte in {seconds:.1f} s")
    kills, runs, wrong = 0, 0, 0
    while kills < a.kills:
        out, history = a.work / f"run-{runs}", a.work / f"run-{runs}.redb"
        shutil.rmtree(out, ignore_errors=True)
        history.unlink(missing_ok=True)
        arguments, killed_at = [*a.command, "--out", str(out)], []
        # Three kills in a run at most, so that it comes to its end.
        for _ in range(min(3, a.kills - kills)):
            command = [a.hibrit, *arguments, "--json", "--quiet", "--history", str(history)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            after = rng.uniform(0.0, seconds)
            try:
                process.communicate(timeout=after)
                arguments = [*a.command[: 2 if a.command[0] == "run" else 1], "--resume", str(out)]
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                killed_at.append(round(after, 2))
                kills += 1
            if (out / "begun.json").exists():
                arguments = [a.command[0], *([a.command[1]] if a.command[0] == "run" else []), "--resume", str(out)]
            else:
                shutil.rmtree(out, ignore_errors=True)
        code, run, stderr = call(a.hibrit, arguments, history)
        if code != 0 and (out / "run.json").exists():
            run = json.loads((out / "run.json").read_text())
        got = run and run["outcome"]["bits_per_byte"]
        same = code == 0 and got == expected
        code, listed, _ = call(a.hibrit, ["history", "list"], history)
        one = code == 0 and len(listed["runs"]) >= 1 and listed["runs"][-1]["run"]["status"] == "done"
        model = (out / "model" / "model.safetensors").exists()
        verdict = "same" if same and one and model else f"DIFFERS (history {one}, model {model}) {stderr}"
        wrong += verdict != "same"
        print(f"run {runs}: killed at {killed_at} s, {got} bits per byte: {verdict}", flush=True)
        runs += 1
        shutil.rmtree(out, ignore_errors=True)
    print(f"{kills} kills in {runs} runs, {wrong} of them ended otherwise than unkilled")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
