#!/usr/bin/env bash
# triton 3.7.1, TRITON_INTERPRET=1 (the way to test a kernel without a GPU): float32 to bfloat16 cuts the lower bits
# off, where a card and torch round to the nearest. Every positive number comes out too small or exact, by up to
# one unit: a kernel whose bfloat16 results are biased, or are not, cannot be told by it.
# Seen: 1 + 2^-8 + 2^-9 gives 1.0, torch 1.0078125; 0.1, 1/3 and 0.7 are below torch's or equal.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 triton==3.7.1 numpy==2.4.0
cat > "$work/cut.py" <<'PYTHON'
import torch
import triton
import triton.language as tl


@triton.jit
def convert(source, target, n: tl.constexpr):
    at = tl.arange(0, n)
    tl.store(target + at, tl.load(source + at).to(tl.bfloat16))


numbers = torch.tensor([1 + 2**-8 + 2**-9, 0.1, 1 / 3, 0.7])
found = torch.empty(4, dtype=torch.bfloat16)
convert[(1,)](numbers, found, n=4)
rounded = numbers.bfloat16()
print(f"triton {triton.__version__}: {found.tolist()}; torch: {rounded.tolist()}")
raise SystemExit(not (found[0] == 1.0 and rounded[0] == 1.0078125 and bool((found <= numbers).all())))
PYTHON
TRITON_INTERPRET=1 "$work/venv/bin/python" "$work/cut.py"
