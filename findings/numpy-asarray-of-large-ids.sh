#!/usr/bin/env bash
# numpy 2.4.0: np.asarray of a list of Python ints that holds one beyond 2**63 - 1 and one below 0 silently
# becomes float64 (of ints beyond 2**64 an object array). Ids of prompts that are 64-bit hashes, some signed
# and some not, then merge: np.unique sees one group where there are two, and advantages are taken over both.
# Seen: dtype float64, and 2**63 and 2**63 + 1 are one id beside -1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.0
"$work/venv/bin/python" - <<'PYTHON'
import numpy as np

ids = [2**63, 2**63 + 1, -1]
mixed, unsigned = np.asarray(ids), np.asarray(ids[:2])
print(f"numpy {np.__version__}: {mixed.dtype}, {len(np.unique(mixed))} ids of {len(set(ids))}")
print(f"without the negative one: {unsigned.dtype}, {len(np.unique(unsigned))} ids of 2")
raise SystemExit(not (mixed.dtype == np.float64 and len(np.unique(mixed)) == 2 and len(np.unique(unsigned)) == 2))
PYTHON
