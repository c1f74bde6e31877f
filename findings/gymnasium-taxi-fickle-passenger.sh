#!/usr/bin/env bash
# gymnasium 1.4.0: Taxi-v4's option fickle_passenger changes the destination inside step(), not in the
# transition table P. A dynamic-programming "exact" value computed from env.unwrapped.P is then the value of
# another environment, although P has the right shape and every row sums to one.
# Seen: with fickle_probability=1.0 the first move with the passenger aboard leads, in every episode, to a state
# that no entry of P[state][action] names.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q gymnasium==1.4.0
"$work/venv/bin/python" - <<'PYTHON'
import gymnasium as gym

PICKUP, MOVES = 4, range(4)
world = gym.make("Taxi-v4", fickle_passenger=True, fickle_probability=1.0)
table = world.unwrapped.P
outside = 0
for seed in range(20):
    state, _ = world.reset(seed=seed)
    _, _, passenger, destination = world.unwrapped.decode(state)
    row, column = world.unwrapped.locs[passenger]  # the taxi starts where the passenger waits
    world.unwrapped.s = world.unwrapped.encode(row, column, passenger, destination)
    aboard, *_ = world.step(PICKUP)
    move = next(move for move in MOVES if table[aboard][move][0][1] != aboard)
    reached, *_ = world.step(move)
    outside += int(reached) not in {entry[1] for entry in table[aboard][move]}
print(f"gymnasium {gym.__version__}: {outside} of 20 first moves lead to a state that P does not name")
sums = {round(sum(entry[0] for entry in row), 12) for actions in table.values() for row in actions.values()}
print(f"sums of the rows of P: {sorted(sums)}")
raise SystemExit(not (outside == 20 and sums == {1.0}))
PYTHON
