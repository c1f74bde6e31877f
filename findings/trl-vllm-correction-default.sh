#!/usr/bin/env bash
# TRL 1.16: the documentation of GRPOConfig's vllm_importance_sampling_mode calls "token_truncate" the default, in its
# list of modes, and "sequence_mask" in its heading. It is "sequence_mask": a response whose ratio to vLLM's
# probabilities, a product over all its tokens, exceeds 3 gets no gradient at all, where "token_truncate" would keep
# every token with a factor of at most 3.
# Seen: both statements, and the default.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-deps trl==1.16.0
"$work/venv/bin/python" - <<'PYTHON'
import re
from importlib.metadata import distribution, version

source = distribution("trl").locate_file("trl/trainer/grpo_config.py").read_text()
said = re.findall(r'- `"(\w+)"`:[^\n]*\(default\)', source)
(default,) = re.findall(r'vllm_importance_sampling_mode: str = field\(\s*default="(\w+)"', source)
print(f"TRL {version('trl')}: called the default: {said}; the default: {default}")
raise SystemExit(not (default == "sequence_mask" and "token_truncate" in said))
PYTHON
