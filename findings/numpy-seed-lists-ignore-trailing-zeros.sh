#!/usr/bin/env bash
# numpy 2.4.6: a list of seeds shorter than SeedSequence's pool of four 32-bit words is filled up with zeros, so zeros at its
# end say nothing: default_rng(7), default_rng([7, 0]) and default_rng([7, 0, 0, 0]) are one stream. A loop that draws its
# prompts from default_rng(seed) and the responses of step s from default_rng([seed, s]) uses the prompts' numbers again at
# step 0; [seed, prompt] is [seed, prompt, 0]. Words are joined too: [2**32, 5] is [0, 1, 5]. NumPy's page on parallel streams
# calls [root_seed, worker_id] less flexible than the other order, and says that it works; seeds of 128 bits fill the pool, as
# it advises, and spawn() is safe.
# Seen: as said; five words, a seed of 128 bits beside a zero, the other order and spawned streams differ.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import numpy as np


def first(seed: int | list[int] | np.random.SeedSequence) -> int:
    return int(np.random.default_rng(seed).integers(2**63))


one = {str(seed): first(seed) for seed in (7, [7, 0], [7, 0, 0], [7, 0, 0, 0])}
joined = first([2**32, 5]) == first([0, 1, 5])
(child,) = np.random.SeedSequence(7).spawn(1)
others = {
    "[7, 0, 0, 0, 0]": first([7, 0, 0, 0, 0]) != first(7),
    "[2**127 + 7, 0]": first([2**127 + 7, 0]) != first(2**127 + 7),
    "[0, 7]": first([0, 7]) != first(7),
    "spawned": first(child) != first(7),
}
print(f"numpy {np.__version__}: {one}; [2**32, 5] is [0, 1, 5]: {joined}; another stream: {others}")
raise SystemExit(not (len(set(one.values())) == 1 and joined and all(others.values())))
PYTHON
