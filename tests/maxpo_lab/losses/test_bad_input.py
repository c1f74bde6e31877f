"""What a loss refuses, and what its message names."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import maxpo_lab as ml
from maxpo_lab.losses import Aggregation, Clipped, Correction, Loss, Penalty, penalised_rewards

A = np.array([[1.0, -1.0], [0.5, -0.5]])
ONES = np.ones((2, 2, 3), dtype=bool)
X = np.zeros((2, 2, 3))


def at(value: float) -> np.ndarray:
    changed = X.copy()
    changed[1, 0, 2] = value
    return changed


def without(*where: Any) -> np.ndarray:
    mask = ONES.copy()
    for index in where:
        mask[index] = False
    return mask


CASES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "the policy gives a token probability 0": (
        lambda: ml.get_loss("ppo").weights(A, log_ratios=at(-np.inf)),
        ValueError,
        r"log_ratios\[1, 0, 2\] is -inf: the current policy gives probability 0",
    ),
    "the old policy does": (
        lambda: ml.get_loss("ppo").weights(A, log_ratios=at(np.inf)),
        ValueError,
        r"log_ratios\[1, 0, 2\] is inf: the old policy gives probability 0 to a token that was drawn",
    ),
    "the behaviour policy lacks a token": (
        lambda: ml.get_loss("decoupled").weights(A, log_ratios=X, behaviour_log_ratios=at(np.inf)),
        ValueError,
        r"behaviour_log_ratios\[1, 0, 2\] is inf: the behaviour policy gives probability 0",
    ),
    "the reference policy lacks a token": (
        lambda: ml.get_loss("kl").weights(A, reference_log_ratios=at(np.inf)),
        ValueError,
        r"reference_log_ratios\[1, 0, 2\] is inf: the reference policy gives probability 0",
    ),
    "neither has it": (
        lambda: ml.get_loss("trl:dapo").weights(A, log_ratios=at(np.nan)),
        ValueError,
        r"log_ratios\[1, 0, 2\] is nan: .* mask it, or give it log-ratio 0",
    ),
    "a ratio overflows": (
        lambda: ml.get_loss("ppo").weights(-A, log_ratios=at(800.0)),
        ValueError,
        r"the weight of token \[1, 0, 2\] is -inf: its ratio overflows float64; hold the log-ratios",
    ),
    "no token at all": (
        lambda: ml.get_loss("trl:dapo").weights(A, mask=~ONES, log_ratios=X),
        ValueError,
        "mask: none of the 4 rollouts has a token",
    ),
    "no token in a rollout": (
        lambda: ml.get_loss("sequence-mean").weights(A, mask=without((1, 0))),
        ValueError,
        "mask: rollout 2 .* has no token, and sequence-mean divides by how many it has",
    ),
    "no token in a group": (
        lambda: ml.get_loss("group-token-mean").weights(A, mask=without(1)),
        ValueError,
        "mask: group 1 .* has no token",
    ),
    "an infinite advantage": (
        lambda: ml.get_loss("identity").weights(A * np.array([1, np.inf]), mask=ONES),
        ValueError,
        r"advantages\[0, 1, 0\] is -inf: must be finite",
    ),
    "a mask of weights": (
        lambda: ml.get_loss("identity").weights(A, mask=ONES * 0.5),
        ValueError,
        "mask: every entry must be 0 or 1",
    ),
    "shapes": (
        lambda: ml.get_loss("ppo").weights(A, mask=ONES, log_ratios=X[..., :2]),
        ValueError,
        r"mask have shape \(2, 2, 3\) and log_ratios \(2, 2, 2\)",
    ),
    "shape of the advantages": (
        lambda: ml.get_loss("ppo").weights(A[0], log_ratios=X),
        ValueError,
        r"advantages have shape \(2,\) and log_ratios \(2, 2, 3\): expected \(2, 2\)",
    ),
    "a scalar": (lambda: ml.get_loss("identity").weights(1.0), ValueError, "advantages are a scalar"),
    "empty": (lambda: ml.get_loss("identity").weights(np.zeros((0, 4))), ValueError, "which is empty"),
    "ragged": (
        lambda: ml.get_loss("ppo").weights(A, log_ratios=[[[0.0], [0.0, 0.0]]]),
        ValueError,
        "log_ratios: rows of different lengths; pad",
    ),
    "texts": (
        lambda: ml.get_loss("identity").weights([["a", "b"]]),
        TypeError,
        "advantages have dtype <U1: they must be real numbers",
    ),
    "complex numbers": (
        lambda: ml.get_loss("identity").weights(A * 1j),
        TypeError,
        "advantages have dtype complex128",
    ),
    "two libraries": (
        lambda: ml.get_loss("ppo").weights(A, log_ratios=torch.zeros(2, 2, 3)),
        TypeError,
        "arrays of numpy and torch: pass all of one library",
    ),
    "a log-ratio that is not looked at": (
        lambda: ml.get_loss("identity").weights(A, log_ratios=X),
        TypeError,
        "log_ratios: identity does not look at them",
    ),
    "one that is missing": (
        lambda: ml.get_loss("tis").weights(A),
        TypeError,
        "behaviour_log_ratios: tis needs them",
    ),
    "log-probabilities missing": (
        lambda: ml.get_loss("trl:cispo").value(A, log_ratios=X),
        TypeError,
        "trl:cispo: its value is a multiple of log pi; pass log_probs",
    ),
    "log-probabilities not looked at": (
        lambda: ml.get_loss("ppo").value(A, log_ratios=X, log_probs=X),
        TypeError,
        "log_probs: ppo does not look at them",
    ),
    "advantages of tokens, a ratio of rollouts": (
        lambda: ml.get_loss("gspo").weights(X, log_ratios=X),
        ValueError,
        "gspo has one loss a rollout: pass",
    ),
    "a correction of tokens, a ratio of rollouts": (
        lambda: Loss(
            name="mine",
            title="",
            equation="",
            citation="",
            ratio=Clipped(level="sequence"),
            correction=Correction(highest=2),
        ),
        ValueError,
        "give it level='sequence'",
    ),
    "no such loss": (lambda: ml.get_loss("trl:dapp"), ValueError, r"did you mean trl:dapo"),
    "no such loss, with an option": (
        lambda: ml.get_loss("verl:tokenmean:empty=skip"),
        ValueError,
        "did you mean verl:token-mean",
    ),
    "no such option": (
        lambda: ml.get_loss("trl:cispo:epsilon=0.1"),
        ValueError,
        "'epsilon=0.1' is not one of its parameters",
    ),
    "not a number": (lambda: ml.get_loss("ppo:low=x"), ValueError, "low='x' is not a number"),
    "no such mean": (lambda: ml.get_loss("ppo:over=median"), ValueError, "aggregation='median': must be"),
    "no such level": (lambda: ml.get_loss("importance:level=word"), ValueError, "level='word': must be"),
    "no such mode": (lambda: ml.get_loss("trl:dapo:vllm=cut"), ValueError, "vllm='cut': must be"),
    "no such epsilon_high": (
        lambda: ml.get_loss("trl:dapo:epsilon_high=lots"),
        ValueError,
        "epsilon_high='lots': must be a number",
    ),
    "no such aggregation of verl": (
        lambda: ml.get_loss("verl:gspo:loss_agg_mode=mean"),
        ValueError,
        "loss_agg_mode='mean': must be",
    ),
    "no such estimate": (
        lambda: ml.get_loss("verl:token-mean:kl_loss_coef=1,kl_loss_type=abs"),
        ValueError,
        "kl_loss_type='abs': must be",
    ),
    "no such threshold": (
        lambda: ml.get_loss("verl:token-mean:rollout_is=token,rollout_is_threshold=a_b"),
        ValueError,
        "rollout_is_threshold='a_b': must be a number, or two",
    ),
    "a name that is none": (lambda: ml.get_loss(3), TypeError, "loss=3 is a int"),  # type: ignore[arg-type]
    "a length of 0": (lambda: ml.get_loss("constant:length=0"), ValueError, "length=0.0: must be above 0"),
    "a length for a mean": (
        lambda: Aggregation(kind="token-mean", length=3),
        ValueError,
        "'constant' takes a length, the others none",
    ),
    "bounds the wrong way round": (
        lambda: Correction(lowest=2, highest=1),
        ValueError,
        "must have 0 <= lowest < highest",
    ),
    "an infinite beta": (lambda: Penalty(kind="k1", beta=np.inf), ValueError, "beta=inf: must be finite"),
    "a KL of another kind": (
        lambda: penalised_rewards(A, X, beta=0.1, kind="k4"),  # type: ignore[arg-type]
        ValueError,
        "kind='k4': must be",
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_bad_input_is_named(what: str) -> None:
    call, kind, message = CASES[what]
    with pytest.raises(kind, match=message):
        call()


def test_what_lies_under_a_mask_is_never_read() -> None:
    mask = without((1, 0, 2), (0, 1))
    for name in ("trl:grpo:beta=0.1,vllm=token_truncate", "verl:token-mean", "trl:vespo", "verl:geo_mean"):
        loss = ml.get_loss(name)
        clean = dict.fromkeys(loss.needs, X + 0.1)
        dirty = {each: np.where(mask, X + 0.1, np.nan) for each in loss.needs}
        expected = loss.weights(A, mask=mask, **clean)
        np.testing.assert_array_equal(loss.weights(A, mask=mask, **dirty), expected)
        assert not expected[~mask].any()


def test_given_arrays_stay_as_they_are() -> None:
    advantages, logs = A.copy(), X + 0.3
    ml.get_loss("trl:dapo:beta=0.1").weights(
        advantages, mask=ONES, log_ratios=logs, reference_log_ratios=logs
    )
    np.testing.assert_array_equal(advantages, A)
    np.testing.assert_array_equal(logs, X + 0.3)


def test_sequences_and_graphs_are_taken() -> None:
    leaf = torch.zeros(2, 2, 3, requires_grad=True)
    weights = ml.get_loss("ppo").weights(torch.tensor(A), log_ratios=leaf)
    assert not weights.requires_grad
    listed = ml.get_loss("ppo").weights(A.tolist(), log_ratios=X.tolist(), mask=ONES.tolist())
    np.testing.assert_array_equal(weights.numpy(), listed)


@pytest.mark.parametrize("name", ml.list_losses())
def test_a_loss_is_a_value(name: str) -> None:
    loss = ml.get_loss(name)
    copy = pickle.loads(pickle.dumps(loss))
    assert copy == loss
    assert hash(copy) == hash(loss)
    assert loss.name == name
    assert "w_it" in loss.equation
    assert loss.citation
    assert loss.title


@pytest.mark.parametrize("kind", ["k1", "k2", "k3"])
def test_a_kl_in_the_reward_is_a_sum_over_tokens(kind: Any) -> None:
    x = np.random.default_rng(0).normal(size=(2, 2, 3))
    mask = without((0, 1, 0))
    by_token = {"k1": x, "k2": x**2 / 2, "k3": np.exp(-x) - 1 + x}[kind]
    expected = A - 0.05 * (by_token * mask).sum(-1)
    found = penalised_rewards(A, x, beta=0.05, mask=mask, kind=kind)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_a_ratio_that_is_clipped_may_overflow() -> None:
    """Beyond the ceiling of A > 0, and beyond verl's bounds, nothing of it is left."""
    for name, logs in (("ppo", at(800.0)), ("verl:token-mean", at(800.0)), ("verl:token-mean", at(-800.0))):
        weights = ml.get_loss(name).weights(A, log_ratios=logs)
        assert weights[1, 0, 2] == 0
        assert np.isfinite(weights).all()
