"""Do the three bases of similarity agree in order? Profiles of real pairs, as a table, with Spearman's rank correlation.

    cargo build --release && python3 benches/compare/similarity.py target/release/hibrit ../shared/data

Each row is a pair on the held-out text of a language; with a model in place of a source all three bases are there.
"""

import json
import subprocess
import sys
from itertools import combinations

ROWS = [
    # source or model, candidate, language
    ("qwen3", "olmo-dolma2", "en"),
    ("qwen3", "gpt2", "en"),
    ("qwen3", "mistral-7b-v0.1", "en"),
    ("qwen3", "focus-de-bpe-50k", "de"),
    ("qwen3", "xlm-roberta-base", "fi"),
    ("qwen3", "xlm-roberta-base", "tr"),
    ("qwen3", "turkish_mixtral_v3_fixed", "tr"),
    ("qwen3", "tr-sp-bpe-32k-cased-azadyasar", "tr"),
    ("gpt2", "turkish_mixtral_v3_fixed", "tr"),
    ("mistral-7b-v0.1", "turkish_mixtral_v3_fixed", "tr"),
    ("minimind-6400", "turkish_mixtral_v3_fixed", "tr"),
    ("models/base-en", "gpt2", "en"),
    ("models/base-en", "olmo-dolma2", "en"),
    ("models/base-en", "mistral-7b-v0.1", "en"),
    ("models/base-en", "t5-small", "en"),
    ("models/base-en", "minimind-6400", "en"),
    ("models/base-en", "gpt2", "tr"),
    ("models/base-en", "focus-de-bpe-50k", "de"),
    ("models/base-en", "focus-de-xlmr-unigram-50k", "de"),
    ("models/base-en", "xlm-roberta-base", "fi"),
    ("models/base-en", "xlm-roberta-base", "tr"),
    ("models/base-en", "mbert-cased", "tr"),
    ("models/base-en", "turkish_mixtral_v3_fixed", "tr"),
    ("models/base-en", "tr-sp-bpe-32k-cased-azadyasar", "tr"),
]
BASES = ["surface", "contextual", "reconstruction"]


def profile(program, data, source, candidate, language):
    where = ["--model", f"{data}/{source}"] if source.startswith("models/") else ["--source", f"{data}/tokenizers/{source}"]
    command = [program, "analyze", *where, "--candidate", f"{data}/tokenizers/{candidate}"]
    command += ["--corpus", f"{data}/text/{language}-eval.txt", "--json", "--quiet"]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answer.get("profile", answer)


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    return [sum(order.index(j) for j in range(len(values)) if values[j] == v) / values.count(v) for v in values]


def spearman(a, b):
    a, b = ranks(a), ranks(b)
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    cov = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b))
    return cov / (sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b)) ** 0.5


def main(program, data):
    table = []
    print("| source | candidate | text | coverage | surface | contextual (chance) | reconstruction (chance) |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: |")
    for source, candidate, language in ROWS:
        found = profile(program, data, source, candidate, language)
        scores = {b["basis"]: b for b in found["similarity"]["all"]}
        table.append({name: scores[name]["score"] for name in scores})

        def cell(name):
            if name not in scores:
                return ""
            chance = scores[name]["chance"]
            return f"{scores[name]['score']:.3f}" + (f" ({chance:.2f})" if chance is not None else "")

        cells = " | ".join(cell(name) for name in BASES)
        print(f"| {source.removeprefix('models/')} | {candidate} | {language} | {found['coverage']['corpus']:.3f} | {cells} |", flush=True)
    for a, b in combinations(BASES, 2):
        both = [(row[a], row[b]) for row in table if a in row and b in row]
        print(f"\n{a} and {b}: Spearman {spearman(*zip(*both)):.3f} over {len(both)} pairs")


if __name__ == "__main__":
    main(*sys.argv[1:])
