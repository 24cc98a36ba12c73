"""What a person does today: coverage, fertility and token counts with Hugging Face tokenizers in Python.

    python3 -m venv /tmp/compare && /tmp/compare/bin/pip install tokenizers
    RAYON_NUM_THREADS=2 /tmp/compare/bin/python benches/compare/analyze.py SOURCE.json CANDIDATE.json TEXT
    /tmp/compare/bin/python benches/compare/analyze.py --table FOLDER TEXT     (the table in src/analyze/tests.rs)

Prints seconds, with loading and without, and the peak of resident memory.
"""

import os
import resource
import sys
import time
from collections import Counter

from tokenizers import Tokenizer


def documents(path):
    with open(path, encoding="utf-8", newline="\n") as file:
        lines = [line.rstrip("\n").removesuffix("\r") for line in file]
    return [line for line in lines if line.strip()]


def load(path):
    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def table(folder, text):
    lines = documents(text)
    print(sum(len(line.split()) for line in lines), "words", len(lines), "lines")
    for name in sorted(os.listdir(folder)):
        tokenizer = load(os.path.join(folder, name, "tokenizer.json"))
        ids = [e.ids for e in tokenizer.encode_batch(lines, add_special_tokens=False)]
        back = tokenizer.decode_batch(ids, skip_special_tokens=False)
        same = sum(b == line or b == " " + line for b, line in zip(back, lines))
        print(name, sum(map(len, ids)), same, flush=True)


def byte_alphabet():
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(rest)}


def token_bytes(raw, byte_level, alphabet):
    if byte_level and all(c in alphabet for c in raw):
        return bytes(alphabet[c] for c in raw)
    return raw.replace("▁", " ").encode()


def compare(source_path, candidate_path, text):
    begin = time.perf_counter()
    source, candidate = load(source_path), load(candidate_path)
    loaded = time.perf_counter()
    alphabet = byte_alphabet()
    vocabularies = []
    for tokenizer in (source, candidate):
        byte_level = "ByteLevel" in str(tokenizer.decoder)
        vocabularies.append({i: token_bytes(t, byte_level, alphabet) for t, i in tokenizer.get_vocab().items()})
    known = set(vocabularies[0].values())
    lines = documents(text)
    words = sum(len(line.split()) for line in lines)
    counts = []
    for tokenizer in (source, candidate):
        counter, back = Counter(), 0
        for at in range(0, len(lines), 1000):
            batch = lines[at : at + 1000]
            ids = [e.ids for e in tokenizer.encode_batch_fast(batch, add_special_tokens=False)]
            for i in ids:
                counter.update(i)
            back += sum(b == t for b, t in zip(tokenizer.decode_batch(ids, skip_special_tokens=False), batch))
        counts.append((counter, back))
    total = [sum(c.values()) for c, _ in counts]
    covered = sum(n for i, n in counts[1][0].items() if vocabularies[1][i] in known)
    print("coverage.vocabulary", sum(b in known for b in vocabularies[1].values()) / len(vocabularies[1]))
    print("coverage.corpus", covered / total[1], "token_ratio", total[1] / total[0])
    print("fertility", [n / words for n in total], "round trip", [b / len(lines) for _, b in counts])
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{end - begin:.2f} s, of it loading {loaded - begin:.2f} s; peak {peak:.0f} MiB")


if __name__ == "__main__":
    if sys.argv[1] == "--table":
        table(*sys.argv[2:])
    else:
        compare(*sys.argv[1:])
