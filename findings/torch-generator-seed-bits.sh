#!/usr/bin/env bash
# torch 2.13.0 on a CPU: Generator.manual_seed takes 64 bits and uses 32 of them, and initial_seed() still
# answers all 64. Seeds that are hashes of a cell's name collide at 2**16 cells, not 2**32, and two seeds that
# differ in their upper halves alone give the same numbers. (A CUDA generator keeps all 64.)
# Seen: seeds 7 and 7 + 2**32 draw the same five numbers; initial_seed() tells them apart.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.0
"$work/venv/bin/python" - <<'PYTHON'
import torch

seeds = (7, 7 + 2**32, 8)
made = [torch.Generator().manual_seed(seed) for seed in seeds]
drawn = [torch.rand(5, generator=generator).tolist() for generator in made]
print(f"torch {torch.__version__}: initial seeds {[generator.initial_seed() for generator in made]}")
print(f"7 and 7 + 2**32 draw the same: {drawn[0] == drawn[1]}; 7 and 8: {drawn[0] == drawn[2]}")
told = [generator.initial_seed() for generator in made] == list(seeds)
raise SystemExit(not (told and drawn[0] == drawn[1] and drawn[0] != drawn[2]))
PYTHON
