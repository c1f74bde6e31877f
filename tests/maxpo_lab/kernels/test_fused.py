"""The fused kernels, on each card that is present, else in Triton's interpreter, against exact rationals.

The interpreter is on from the first import of Triton, or never: where there is no card, these tests run in a
process of their own, with TRITON_INTERPRET=1 (``make test-integrations``).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from itertools import pairwise
from math import lcm
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from checks import EPS, RANK_LINEAR, has_offset, valid_k

import maxpo_lab as ml

torch = pytest.importorskip("torch")

from maxpo_lab.kernels import fused as operator  # noqa: E402

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
CARD = torch.cuda.is_available() and not INTERPRETED
DEVICE = torch.device("cuda", 0) if CARD else torch.device("cpu")
pytestmark = [
    *([] if CARD else [pytest.mark.integration]),
    pytest.mark.skipif(find_spec("triton") is None, reason="Triton is an extra: make test-integrations"),
    pytest.mark.skipif(
        not (CARD or INTERPRETED), reason="needs a card, or TRITON_INTERPRET=1 from the start"
    ),
]
on_a_card = pytest.mark.skipif(not CARD, reason="needs a card")

SIZES = (1, 2, 3, 5, 8, 16, 33, 64, 100, 128)
PLAIN = tuple(name for name in RANK_LINEAR if not has_offset(name))
OFFSET = tuple(name for name in RANK_LINEAR if has_offset(name))


@pytest.fixture(autouse=True)
def poisoned() -> Iterator[None]:
    """What a kernel does not write is NaN."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def cells(names: tuple[str, ...], n: int, sizes: tuple[int, ...] | None = None) -> list[tuple[str, int]]:
    """Rules by name with their K: the least, a middle and the largest at which each is defined."""
    found = []
    for name in names:
        # The exact tables of L-statistics take seconds where subsets of many are counted.
        most = 4 if n > 16 and name.startswith("l-statistic") else n
        valid = [k for k in valid_k(name, n) if k <= most and (sizes is None or k in sizes)]
        found += [(name, k) for k in sorted({valid[0], valid[len(valid) // 2], valid[-1]} if valid else ())]
    return found


@cache
def weights(name: str, n: int, k: int) -> tuple[int, int, tuple[int, ...], tuple[int, ...]]:
    """A rule in whole numbers: its common denominator, and its offset, ``above`` and ``below`` times it."""
    made = ml.get_estimator(name).coefficients(n, k, exact=True)
    all_of_them = [Fraction(each) for each in (made.offset, *made.above, *made.below)]
    whole = lcm(*(each.denominator for each in all_of_them))
    offset, *rest = (int(each * whole) for each in all_of_them)
    return whole, offset, tuple(rest[: n - 1]), tuple(rest[n - 1 :])


def tables(rules: list[tuple[str, int]], n: int) -> tuple[Any, Any]:
    """``above`` and ``below`` of these rules on the device, from their exact tables."""
    made = [weights(name, n, k) for name, k in rules]
    return tuple(
        tensor([[number / whole for number in each] for whole, each in rows])
        for rows in (
            [(whole, above) for whole, _, above, _ in made],
            [(whole, below) for whole, _, _, below in made],
        )
    )


def from_zero_tables(rules: list[tuple[str, int]], n: int) -> dict[str, Any]:
    """The tables of rules with an offset, from their exact ones."""
    rows: dict[str, list[Any]] = {name: [] for name in ("up", "down", "over", "under", "own", "cost")}
    for name, k in rules:
        whole, offset, above, below = weights(name, n, k)
        success, loss = [offset, *above], [*(offset - each for each in below), offset]
        own, cost = (min(max(min(each), 0), max(each)) + min(max(each), 0) for each in (success, loss))
        made = {
            "up": [each - own for each in success],
            "down": [*below, 0],
            "over": [0, *(each - offset for each in above)],
            "under": [cost - each for each in loss],
            "own": [own],
            "cost": [cost],
        }
        for table, numbers in made.items():
            rows[table].append([number / whole for number in numbers])
    return {table: tensor(each) for table, each in rows.items()}


def fused(rewards: Any, rules: list[tuple[str, int]]) -> Any:
    return operator.fused(rewards, *tables(rules, rewards.shape[-1]))


def from_zero(rewards: Any, rules: list[tuple[str, int]]) -> Any:
    return operator.fused_from_zero(rewards, **from_zero_tables(rules, rewards.shape[-1]))


def numerator(number: float) -> int:
    """A float64 in units of 2^-1074, in which all are whole."""
    top, bottom = number.as_integer_ratio()
    return top * ((1 << 1074) // bottom)


def exact(name: str, group: list[float], k: int) -> tuple[list[int], int]:
    """``offset R_(1)`` and the sums over gaps, gap by gap: numerators, and the denominator."""
    whole, offset, above, below = weights(name, len(group), k)
    ranked = sorted(map(numerator, group))
    gaps = [high - low for low, high in pairwise(ranked)]
    of_rank = [offset * ranked[0] + sum(gap * each for gap, each in zip(gaps, below, strict=True))]
    for gap, high, low in zip(gaps, above, below, strict=True):
        of_rank.append(of_rank[-1] + gap * (high - low))
    by_reward = dict(zip(ranked, of_rank, strict=True))
    return [by_reward[numerator(reward)] for reward in group], whole << 1074


def groups(n: int) -> np.ndarray:
    """Random, tied, binary and flat groups, one near 1000 and one of mixed sizes."""
    rng = np.random.default_rng(n)
    return np.array(
        [
            rng.normal(size=n),
            rng.integers(-2, 3, n) * 0.1,
            np.full(n, 0.7),
            1000 + rng.random(n),
            rng.integers(0, 2, n),
            rng.choice([-1, 1], n) * 10.0 ** rng.integers(-6, 7, n),
        ]
    )[: 6 if n <= 64 else 3]


def tensor(values: Any, dtype: Any = torch.float64) -> Any:
    return torch.tensor(np.asarray(values), dtype=dtype, device=DEVICE)


def worst(found: Any, rewards: np.ndarray, rules: list[tuple[str, int]]) -> float:
    """The largest error as a share of what is allowed: 1e-15 of max|A|, 2 eps sqrt(n) for n above 64."""
    n, share = rewards.shape[-1], 0.0
    if not found.isfinite().all():
        return float("inf")
    for (name, k), of_rule in zip(rules, found.cpu().tolist(), strict=True):
        for group, row in zip(rewards.tolist(), of_rule, strict=True):
            want, denominator = exact(name, group, k)
            whole = denominator >> 1074
            off = max(abs(numerator(got) * whole - each) for got, each in zip(row, want, strict=True))
            largest = max(map(abs, want))
            share = max(share, off / largest if largest else float(off > 0) / EPS**2)
    return share / (1e-15 if n <= 64 else 2 * EPS * np.sqrt(n))


def untied(found: Any, rewards: Any) -> bool:
    """Whether two equal rewards of a group have advantages of other bits."""
    return any(
        len({bits for bits, reward in zip(row, group, strict=True) if reward == level}) > 1
        for of_rule in found.cpu().view(torch.int64).tolist()
        for row, group in zip(of_rule, rewards.tolist(), strict=True)
        for level in set(group)
    )


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(
    ("evaluated", "names"), [(fused, PLAIN), (from_zero, OFFSET)], ids=["plain", "offset"]
)
def test_every_rule_equals_its_exact_tables(
    evaluated: Callable[..., Any], names: tuple[str, ...], n: int
) -> None:
    rules, rewards = cells(names, n), groups(n)
    if rules:
        found = evaluated(tensor(rewards), rules)
        assert found.shape == (len(rules), *rewards.shape)
        assert worst(found, rewards, rules) <= 1
        assert not untied(found, rewards)


TIED = np.random.default_rng(1).normal(size=7)[np.random.default_rng(2).integers(0, 7, (8, 61))]


@pytest.mark.parametrize(
    ("evaluated", "names"), [(fused, PLAIN), (from_zero, OFFSET)], ids=["plain", "offset"]
)
def test_tied_rewards_get_the_same_bits(evaluated: Callable[..., Any], names: tuple[str, ...]) -> None:
    found = evaluated(tensor(TIED), cells(names, TIED.shape[1], (2, 5)))
    assert not untied(found, TIED)
    signed = tensor([[0.0, -0.0, 1.0, -0.0], [0.0, -0.0, -1.0, -0.0]])
    assert not untied(evaluated(signed, cells(names, 4)), signed)


def test_gaps_that_pay_nothing_add_nothing() -> None:
    """Leave-Two-Out at K: below the K-th reward no gap pays, nor does any of a group of one level."""
    groups = [[7.0, 1e3, -1e16, 2.0], [0.3] * 4, [1e300, -1e300, 3.0, 3.0], [0.0, 1.0, 0.0, 0.0]]
    for row, group in zip(fused(tensor(groups), [("maxpo", 3)])[0].tolist(), groups, strict=True):
        assert [got == 0 for got in row] == [each == 0 for each in exact("maxpo", group, 3)[0]]


@pytest.mark.parametrize(
    "group", [[-1e16, 1.0], [1.0, 3.0, -1e16, 0.1], [0.1, 0.3, -0.7, 1e-12, -1e300, -0.0]]
)
def test_a_small_reward_survives_a_large_loss(group: list[float]) -> None:
    n, ranked = len(group), sorted(map(numerator, group))
    rules = cells(OFFSET, n)
    for (name, k), row in zip(rules, from_zero(tensor([group]), rules)[:, 0].tolist(), strict=True):
        if name == "reinforce" or (name == "pkpo-s" and k == 1):
            assert row == group
        whole, offset, above, below = weights(name, n, k)
        for got, want, reward in zip(row, exact(name, group, k)[0], group, strict=True):
            level = numerator(reward)
            paid = [a if each <= level else b for a, b, each in zip(above, below, ranked[1:], strict=True)]
            shares = [p - q for p, q in zip([offset, *paid], [*paid, 0], strict=True)]
            terms = sum(abs(share * each) for share, each in zip(shares, ranked, strict=True))
            assert abs(numerator(got) * whole - want) <= 4 * n * Fraction(EPS) * terms, (name, k)


EXTREME = [
    [0.1, -2.5, 0.1, 3.0, -0.0, 7.0, 1e-3],
    [3e38, -3e38, 1.0, 0.0, -0.0, 3e38, 2.0],
    [1e-45, -1e-45, 3e-40, 0.0, 1e-38, 2e-45, 0.0],
]


@pytest.mark.filterwarnings(
    "ignore:overflow encountered in cast:RuntimeWarning"
)  # of the interpreter, to inf
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(
    ("evaluated", "names"), [(fused, PLAIN), (from_zero, OFFSET)], ids=["plain", "offset"]
)
def test_other_dtypes_round_once(evaluated: Callable[..., Any], names: tuple[str, ...], dtype: Any) -> None:
    """The sums of float64, rounded to float32, and from there to 16 bits."""
    cut = dtype == torch.bfloat16 and not CARD  # Triton's interpreter cuts bits off where a card rounds
    rows = 1 if dtype == torch.float16 else 2 if cut else 3  # and reads and writes its subnormals wrongly
    rewards, rules = tensor(EXTREME[:rows], dtype), cells(names, 7)
    found, want = evaluated(rewards, rules), evaluated(rewards.double(), rules).float().to(dtype)
    assert found.dtype == dtype
    if cut:
        torch.testing.assert_close(found, want, rtol=torch.finfo(dtype).eps, atol=0.0)
    else:
        assert torch.equal(found, want)


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # of the interpreter, at inf
def test_a_group_depends_on_itself_alone() -> None:
    rules, rewards = cells(PLAIN, 100, (3,))[:3], tensor(np.random.default_rng(0).normal(size=(11, 100)))
    together = fused(rewards, rules)
    assert torch.equal(fused(rewards[7:8], rules), together[:, 7:8])
    assert torch.equal(fused(rewards.flip(0), rules), together.flip(1))
    assert torch.equal(fused(rewards, rules[1:2]), together[1:2])
    broken = rewards.clone()
    broken[3, 5], broken[4, 0], broken[5, 1] = float("nan"), -float("nan"), float("inf")
    apart = fused(broken, rules)
    whole = [row for row in range(11) if row not in (3, 4, 5)]
    assert torch.equal(apart[:, whole], together[:, whole])
    assert apart[:, 3:5].isnan().all()
    assert from_zero(broken[3:5], cells(OFFSET, 100)[:2]).isnan().all()


def test_strides_and_empty_batches() -> None:
    rules, rewards = [("maxpo", 2), ("rloo", 2)], tensor(np.random.default_rng(0).normal(size=(6, 10)))
    want = fused(rewards, rules)
    assert torch.equal(fused(rewards.T.contiguous().T, rules), want)
    assert torch.equal(fused(rewards[::2], rules), want[:, ::2])
    assert torch.equal(fused(rewards[:1].expand(3, 10), rules), want[:, :1].expand(2, 3, 10))
    assert torch.equal(
        fused(rewards.flatten()[5:45].view(5, 8), rules),
        fused(rewards.flatten()[5:45].clone().view(5, 8), rules),
    )
    assert fused(rewards[:0], rules).shape == (2, 0, 10)


def test_what_it_refuses() -> None:
    rewards = tensor(np.zeros((2, 4)))
    above, below = tables([("maxpo", 2)], 4)
    assert operator.available(rewards)
    for other in (
        rewards.long(),
        rewards.to("meta"),
        tensor(np.zeros((1, operator.LARGEST + 1))),
        tensor(1.0),
    ):
        assert not operator.available(other)
    with pytest.raises(ValueError, match=r"rewards: torch.int64 \(2, 4\) on .*; fused takes"):
        operator.fused(rewards.long(), above, below)
    for wrong in (above[:, 1:], above.float(), above[0]):
        with pytest.raises(ValueError, match=r"table .*needs to be torch.float64 \(1, 3\)"):
            operator.fused(rewards, above[:1], wrong)


def test_constants_for_autograd() -> None:
    found = fused(tensor(EXTREME[:1]).requires_grad_(), [("maxpo", 2)])
    assert not found.requires_grad


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_one_operator_in_compiled_and_mapped_functions() -> None:
    above, below = tables([("maxpo", 2), ("rloo", 2)], 6)
    rewards = tensor(np.random.default_rng(0).normal(size=(3, 5, 6)))

    def step(groups: Any) -> Any:
        assert operator.available(groups)
        return 2 * operator.fused(groups + 1, above, below)

    want = torch.stack([step(each) for each in rewards])
    torch.compiler.reset()
    assert torch.equal(torch.compile(step, fullgraph=True, backend="aot_eager")(rewards[0]), want[0])
    assert torch.equal(torch.func.vmap(step)(rewards), want)
    assert torch.equal(
        torch.func.vmap(step, in_dims=1, out_dims=2)(rewards.movedim(0, 1)), want.movedim(0, 2)
    )
    mapped = torch.compile(torch.func.vmap(step), fullgraph=True, backend="aot_eager")
    assert torch.equal(mapped(rewards), want)
    torch.library.opcheck(torch.ops.maxpo_lab.fused.default, (rewards[0], [above, below]))
    with pytest.raises(NotImplementedError, match="stack them as rules"):
        torch.func.vmap(lambda table: operator.fused(rewards[0], table, below))(torch.stack([above, above]))


@on_a_card
def test_it_never_waits_and_fits_a_graph() -> None:
    above, below = tables([("maxpo", 2)], 16)
    rewards = torch.randn(1000, 16, device=DEVICE)
    want = operator.fused(rewards, above, below)
    torch.cuda.set_sync_debug_mode("error")
    try:
        again = operator.fused(rewards, above, below)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(again, want)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = operator.fused(rewards, above, below)
    rewards.neg_()
    graph.replay()
    assert torch.equal(captured, operator.fused(rewards, above, below))


@on_a_card
def test_more_rewards_than_an_int32_counts() -> None:
    many = 2**31 // 16 + 100
    if torch.cuda.mem_get_info()[0] < 8 * 16 * many:
        pytest.skip("needs 17 GB on the card")
    rewards = torch.randn(many, 16, device=DEVICE, dtype=torch.float16)
    above, below = tables([("maxpo", 2), ("rloo", 2)], 16)
    found = operator.fused(rewards, above, below)
    for rows in (slice(0, 50), slice(many - 50, many)):
        assert torch.equal(found[:, rows], operator.fused(rewards[rows], above, below))


#: Kernels with one thing wrong: what stands there, and what takes its place.
MUTANTS = {
    "a gap shifted by one": ("tl.minimum(rank + 1, n - 1)", "tl.minimum(rank + 2, n - 1)"),
    "above read one too far": ("above + rank - 1", "above + rank"),
    "below read one too far": ("below + rank, mask=rank < n - 1", "below + rank + 1, mask=rank < n - 2"),
    "no gap below": ("value - before, 0.0)", "value - value, 0.0)"),
    "a tie in the sort loses a place": ("| ((keys == key) & (places > place))", ""),
    "signs out of order": ("key = narrow ^ ((narrow >> 31) & 0x7FFFFFFF)", "key = narrow"),
    "float32 sums": ("advantages += 0.0", "advantages = (advantages + 0.0).to(tl.float32).to(tl.float64)"),
    "what is beyond the group sorts first": ("else 0x7FFFFFFF\n    key", "else -0x7FFFFFFF\n    key"),
    "a scan that groups terms from each rank anew": (
        "return tl.reshape(_both_ways(tl.reshape(credit, cube), tl.reshape(debit, cube), depth), "
        "[rows, 2**depth])",
        """rank = tl.broadcast_to(tl.arange(0, 2**depth)[None, :], [rows, 2**depth])
    up, down = credit, debit
    for i in tl.static_range(depth):
        up += tl.where(rank >= 2**i, tl.gather(up, tl.maximum(rank - 2**i, 0), 1), 0.0)
        down += tl.where(rank < 2**depth - 2**i, tl.gather(down, (rank + 2**i) % 2**depth, 1), 0.0)
    return up + down""",
    ),
}  # fmt: skip


def broken(what: tuple[str, str], folder: Path) -> ModuleType:
    """The kernels with one text replaced."""
    right = Path(str(operator.__file__)).with_name("fused_kernels.py").read_text(encoding="utf-8")
    assert right.count(what[0]) == 1, what[0]
    path = folder / "broken_kernels.py"
    path.write_text(right.replace(*what), encoding="utf-8")
    spec = spec_from_file_location("broken_kernels", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def passes() -> bool:
    """Whether the kernels are right on a few groups, which every mutant is not."""
    rules, rewards = cells(PLAIN, 13, (3,)), groups(13).astype(np.float32)
    half = fused(tensor(rewards, torch.float32), rules)
    whole = fused(tensor(rewards), rules)
    return (
        worst(whole, rewards.astype(np.float64), rules) <= 1
        and torch.equal(half, whole.float())
        and not untied(fused(tensor(TIED), [("maxpo", 2), ("rloo", 2)]), TIED)
    )


def test_right_kernels_pass() -> None:
    assert passes()


@pytest.mark.parametrize("what", MUTANTS)
def test_broken_kernels_are_caught(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = broken(MUTANTS[what], tmp_path)
    monkeypatch.setattr(operator, "_kernels", lambda: made)
    assert not passes()


def test_triton_comes_with_the_first_call() -> None:
    code = (
        "import sys; from maxpo_lab.kernels import fused;"
        "heavy = {'triton', 'torch._dynamo'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
