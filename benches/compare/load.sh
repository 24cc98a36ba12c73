#!/usr/bin/env bash
# How many decisions a second does the service give beside an idle worker, how fast, and what becomes of too many?
#   benches/compare/load.sh target/release/hibrit [SECONDS]
# Needs wrk, curl and python3. On loopback, the load generator on the same cores.
set -euo pipefail
hibrit=$(realpath "$1"); seconds=${2:-30}
here=$(dirname "$(realpath "$0")"); work=$(mktemp -d)
trap 'kill "$pid" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"
export HIBRIT_HISTORY=$work/past.redb
"$hibrit" demo --quick --quiet --out demo >/dev/null
HIBRIT_LOG=warn "$hibrit" serve --addr 127.0.0.1:0 --addr-file addr --quiet --state state \
  --models demo/sample --tokenizers demo/sample --corpora demo/sample 2>service.log & pid=$!
until [ -s addr ]; do sleep 0.1; done
url=http://$(cat addr)
inputs='{"source":"source-tokenizer","candidate":"candidate-tokenizer","corpus":["target-eval.txt"],"model":"base"}'
PROFILE=$(curl -sf -H 'Content-Type: application/json' -d "$inputs" "$url/api/v1/profiles" |
  python3 -c 'import json,sys; print(json.load(sys.stdin)["name"])')
export PROFILE
memory() { curl -sf "$url/metrics" | awk '/^hibrit_resident_memory_bytes/ { printf "%.1f MiB\n", $2 / 1048576 }'; }
load() { DELAY=$1 wrk -t1 -c "$2" -d "$3" -s "$here/load.lua" "$url" | grep -E '^(decided|latency ms)'; }

load 0 2 2s >/dev/null
echo "== about 1,000 a second for $seconds s; memory before: $(memory)"
load 47 50 "${seconds}s"
echo "memory after: $(memory)"
echo "== as fast as two connections can ask"
load 0 2 10s
echo "== flood: 500 connections without a pause"
load 0 500 10s
echo "== afterwards, again about 1,000 a second"
load 47 50 10s
echo "memory at the end: $(memory)"
grep -c '"level":"ERROR"' service.log || true
