#!/usr/bin/env bash
# reasoning-gym 0.1.25: item i of a data set is generated from seed + i alone, so the set of the next seed is the same
# set moved by one. Two sets of 1,000 problems with the seeds 1 and 2, one to train on and one to validate on, have 999 in
# common; so have two composites, whose parts get the next seeds. The project's own training script takes these two seeds
# (training/train_grpo.py, open-thought/reasoning-gym 0d9aae3). ReseedingDataset, which is to make a set endless, takes the
# next seed for every chunk of 500, and repeats 499 of them. Seeds must differ by more than the size of the set.
# Seen: 999 of 1,000 in common; 509 different problems of 5,000 from ReseedingDataset, where one set of 5,000 has 5,000; of
# the 105 other kinds, items 1 to 3 of seed 1 are items 0 to 2 of seed 2 in 102.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q reasoning-gym==0.1.25
"$work/venv/bin/python" - <<'PYTHON' 2> "$work/log" || { tail -3 "$work/log"; exit 1; }
import io
from contextlib import redirect_stdout
from importlib.metadata import version
from itertools import islice

from reasoning_gym import create_dataset
from reasoning_gym.composite import DatasetSpec
from reasoning_gym.dataset import ReseedingDataset
from reasoning_gym.factory import DATASETS

LARGE = {"min_digits": 5, "max_digits": 9}  # so many products that two are never alike by chance


def questions(name: str, seed: int, size: int, **settings: object) -> list[str]:
    made = create_dataset(name, seed=seed, size=size, **settings)
    return [made[place]["question"] for place in range(size)]


parts = [DatasetSpec(name, 1, LARGE if name == "products" else {}) for name in ("products", "number_sorting")]
sets = {"products": LARGE, "composite": {"datasets": parts}}
shared = {name: len({*questions(name, 1, 1000, **each)} & {*questions(name, 2, 1000, **each)}) for name, each in sets.items()}
endless = ReseedingDataset(create_dataset("products", seed=1, size=500, **LARGE), chunk_size=500)
repeated = len({each["question"] for each in islice(endless, 5000)})
whole = len({*questions("products", 1, 5000, **LARGE)})
with redirect_stdout(io.StringIO()):  # one kind prints its progress
    moved = [name for name in DATASETS if name != "composite" and questions(name, 1, 4)[1:] == questions(name, 2, 4)[:-1]]
print(f"reasoning-gym {version('reasoning-gym')}: of 1,000 problems of two seeds in common: {shared}; different ones of "
      f"5,000: {repeated} from ReseedingDataset, {whole} from one set; moved by one: {len(moved)} of {len(DATASETS) - 1} kinds")
raise SystemExit((shared, repeated, whole, len(moved)) != ({"products": 999, "composite": 999}, 509, 5000, 102))
PYTHON
