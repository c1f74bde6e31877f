#!/usr/bin/env bash
# jax 0.10.2: split(key, n)[i] is fold_in(key, i), for every n > i, since jax_threefry_partitionable is the default. So a
# program that splits its key into one for the weights and one for the data, and folds the step into the same key, draws
# the weights' numbers again at step 0 and the data's at step 1; splits of one key into two and into three share the
# first two. The equality is wanted (jax-ml/jax pull request 13341); the pages of split and fold_in do not name it, and the
# checker of reused keys (jax_debug_key_reuse) lets it pass: it does not count fold_in as a use of the key.
# Seen: equal normal numbers from both, with the checker on, which does refuse a second split; other ones with
# jax_threefry_partitionable off.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
JAX_PLATFORMS=cpu "$work/venv/bin/python" - <<'PYTHON'
import jax


@jax.jit
def both(key):
    weights, data = jax.random.split(key)
    steps = (jax.random.fold_in(key, step) for step in range(2))
    return [jax.random.normal(each, (2,)) for each in (weights, data, *steps)]


@jax.jit
def twice(key):
    return [jax.random.normal(each) for _ in range(2) for each in jax.random.split(key)]


found = {}
for partitionable in (True, False):
    jax.config.update("jax_threefry_partitionable", partitionable)
    jax.config.update("jax_debug_key_reuse", partitionable)
    weights, data, *steps = (each.tolist() for each in both(jax.random.key(0)))
    found[partitionable] = [weights, data] == steps
    if partitionable:
        print(f"jax {jax.__version__}: weights {weights}, step 0 {steps[0]}")
        try:
            twice(jax.random.key(0))
            refused = False
        except jax.errors.KeyReuseError:
            refused = True
print(f"equal by jax_threefry_partitionable: {found}; the checker refuses two splits of a key: {refused}")
raise SystemExit(not (found == {True: True, False: False} and refused))
PYTHON
