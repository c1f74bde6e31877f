#!/usr/bin/env bash
# reasoning-gym 0.1.25 with datasets 5.2.0: problems that went through a Hugging Face data set, as reasoning-gym's README
# proposes, are scored with the entry that comes back. Arrow and JSON have lists and no tuples; arc_agi and rearc compare
# the board of an answer, of tuples, with the board in the entry, which is of lists now: no answer is right any more. Nothing is
# raised, and every answer that can be read gets 0.05, so that a group is flat, and its prompt looks too hard.
# Seen: the right answers of 8 problems score 1.0 from the entries that were made, 0.05 from those that a data set, or a
# line of JSON, gives back; those of arc_1d keep 1.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q reasoning-gym==0.1.25 datasets==5.2.0
HF_HUB_OFFLINE=1 "$work/venv/bin/python" - <<'PYTHON' 2> "$work/log" || { tail -3 "$work/log"; exit 1; }
import json
from importlib.metadata import version

from datasets import Dataset
from reasoning_gym import create_dataset, get_score_answer_fn

found = {}
for name in ("arc_agi", "rearc", "arc_1d"):
    made = create_dataset(name, seed=1, size=8)
    entries = [made[place] for place in range(8)]
    ways = {"made": entries, "datasets": Dataset.from_list(entries), "json": json.loads(json.dumps(entries))}
    found[name] = {
        way: sorted({get_score_answer_fn(each["metadata"]["source_dataset"])(each["answer"], each) for each in given})
        for way, given in ways.items()
    }
print(f"reasoning-gym {version('reasoning-gym')}, datasets {version('datasets')}: scores of right answers {found}")
lost, kept = {"made": [1.0], "datasets": [0.05], "json": [0.05]}, {"made": [1.0], "datasets": [1.0], "json": [1.0]}
raise SystemExit(found != {"arc_agi": lost, "rearc": lost, "arc_1d": kept})
PYTHON
