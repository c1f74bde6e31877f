#!/usr/bin/env bash
# reasoning-gym 0.1.25: the base class's score_answer, which 33 of the 106 data sets use as it is, gives an answer that is not
# the right one, but contains it, the share of its characters: meant for words around an answer, and applied to digits. So
# 120 and -12 for 12 earn 2/3 and 13 earns nothing: an answer ten times too large, or of the wrong sign, is nearly a success,
# the longer the answer the more, and inside a group it is pushed up beside one that is off by one. What counts every reward
# above 0 for a success counts it too.
# Seen: with the right answer 1, a 0 behind the right one, a minus before it, and one more than it: 1.0, 0.73, 0.73, 0.0 in
# count_primes; 1.0, 0.75, 0.75, 0.0 in lcm; 1.0, 0.77, 0.25, 0.0 in basic_arithmetic, whose answers are often negative.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q reasoning-gym==0.1.25
"$work/venv/bin/python" - <<'PYTHON' 2> "$work/log" || { tail -3 "$work/log"; exit 1; }
from importlib.metadata import version

from reasoning_gym import create_dataset
from reasoning_gym.dataset import ProceduralDataset
from reasoning_gym.factory import DATASETS

answers = {
    "right": lambda right: right,
    "ten times": lambda right: f"{right}0",
    "sign": lambda right: right.removeprefix("-") if right.startswith("-") else f"-{right}",
    "one more": lambda right: str(int(right) + 1),
}
found = {}
for name in ("count_primes", "lcm", "basic_arithmetic"):
    problems = create_dataset(name, seed=1, size=20)
    found[name] = {
        kind: round(sum(problems.score_answer(answer(each["answer"]), each) for each in problems) / 20, 2)
        for kind, answer in answers.items()
    }
of_twelve = [round(problems.score_answer(answer, {"answer": "12"}), 3) for answer in ("12", "120", "-12", "13")]
using = sum(kind.score_answer is ProceduralDataset.score_answer for kind, _ in DATASETS.values())
print(f"reasoning-gym {version('reasoning-gym')}: {using} of {len(DATASETS)} data sets; for 12, 120, -12, 13 where 12 is right "
      f"{of_twelve}; mean scores {found}")
means = [list(each.values()) for each in found.values()]
expected = [[1.0, 0.73, 0.73, 0.0], [1.0, 0.75, 0.75, 0.0], [1.0, 0.77, 0.25, 0.0]]
raise SystemExit((using, of_twelve, means) != (33, [1.0, 0.667, 0.667, 0.0], expected))
PYTHON
