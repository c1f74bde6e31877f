#!/usr/bin/env bash
# verl 0.9.1 and skyrl-gym 0.4.0: the GSM8K reward of the second was taken from the first, and they have parted. verl reads the
# last number after "####" in the last 300 characters, SkyRL the first one of the whole response. So a response that corrects
# itself is right in one and wrong in the other, and so is one that goes on for long after its answer: rates of success of the
# two are no one number. Both count the full stop of a sentence for a part of the number, and a dollar sign before it for a
# missing one, though they go on to remove dollar signs; "18 dollars" is right.
# Seen: of six responses to a question whose answer is 18, three get opposite rewards; "#### 18." and "#### $18" get 0 in both.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-deps verl==0.9.1 skyrl-gym==0.4.0
"$work/venv/bin/python" - <<'PYTHON'
import runpy
from importlib.metadata import distribution, version

# The packages import torch and more; the two files import nothing but re.
FILES = {"verl": "verl/utils/reward_score/gsm8k.py", "skyrl-gym": "skyrl_gym/envs/gsm8k/utils.py"}
score = {name: runpy.run_path(str(distribution(name).locate_file(file)))["compute_score"] for name, file in FILES.items()}
responses = {
    "corrected to 18": "#### 20\nThat leaves out the last two.\n#### 18",
    "corrected to 20": "#### 18\nThat leaves out the last two.\n#### 20",
    "goes on": "#### 18\n" + "So she earns as much on every day of the week. " * 7,
    "full stop": "She earns #### 18.",
    "dollar sign": "#### $18",
    "unit": "#### 18 dollars",
}
found = {
    what: tuple(float(score[name](response, "18")) for name in FILES) for what, response in responses.items()
}
print(f"rewards by verl {version('verl')} and skyrl-gym {version('skyrl-gym')}: {found}")
raise SystemExit(list(found.values()) != [(1, 0), (0, 1), (0, 1), (0, 0), (0, 0), (1, 1)])
PYTHON
