#!/usr/bin/env bash
# gymnasium 1.4.0: Taxi-v4's option fickle_passenger changes the destination inside step(), not in the
# transition table P. A dynamic-programming "exact" value computed from env.unwrapped.P is then the value of
# another environment, although P has the right shape and every row sums to one.
# Seen: with fickle_probability=1.0 the first pickup leads to a state that no entry of P[state][pickup] names.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q gymnasium==1.4.0
"$work/venv/bin/python" - <<'PYTHON'
import gymnasium as gym

PICKUP = 4
options = {"fickle_passenger": True, "fickle_probability": 1.0}
world = gym.make("Taxi-v4", **options)
table = world.unwrapped.P
outside = 0
for seed in range(20):
    state, _ = world.reset(seed=seed)
    row, column, passenger, destination = world.unwrapped.decode(state)
    # Start where the passenger waits, so that the first action is the pickup.
    row, column = world.unwrapped.locs[passenger]
    world.unwrapped.s = world.unwrapped.encode(row, column, passenger, destination)
    listed = {entry[1] for entry in table[world.unwrapped.s][PICKUP]}
    reached, *_ = world.step(PICKUP)
    outside += reached not in listed
print(f"gymnasium {gym.__version__}: {outside} of 20 pickups lead to a state that P does not name")
sums = {round(sum(entry[0] for entry in row), 12) for actions in table.values() for row in actions.values()}
print(f"sums of the rows of P: {sorted(sums)}")
raise SystemExit(not (outside > 0 and sums == {1.0}))
PYTHON
