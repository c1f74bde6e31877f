"""A tiny language model on sums of digits, its exact success, and what the study ``llm`` draws."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import norm

pytestmark = pytest.mark.integration
torch = pytest.importorskip("torch")
pytest.importorskip("transformers", reason="transformers comes with TRL")

from analysis.output.colours import colour_of  # noqa: E402
from analysis.output.style import drawing  # noqa: E402
from analysis.studies.llm import STUDY  # noqa: E402
from analysis.studies.llm.design import GRPO, REFERENCE, RULES, SETTINGS, K, N  # noqa: E402
from analysis.studies.llm.rows import Row  # noqa: E402
from analysis.studies.llm.start import questions, width  # noqa: E402
from envs import ChainSum  # noqa: E402
from envs.language_models.any_order import AnyOrderSum  # noqa: E402
from envs.language_models.causal_lm import END, causal_lm, digit_tokenizer  # noqa: E402
from envs.language_models.completions import diversity, right_probabilities, success  # noqa: E402
from envs.language_models.exact_lm import exact_policy  # noqa: E402
from envs.language_models.questions import Questions  # noqa: E402
from envs.language_models.supervised import supervise  # noqa: E402
from maxpo_lab import get_estimator  # noqa: E402

VERIFIERS = ("chain", "answer", "order")


def small(verifier: str) -> Questions:
    """Four prompts of nine, or of six, in no order."""
    if verifier == "order":
        return Questions(AnyOrderSum(base=3, digits=3, derivations=6), np.array([4, 0, 5, 2]))
    return Questions(ChainSum(base=3, digits=2, verifier=verifier), np.array([7, 0, 5, 2]))


def test_prompts_and_completions_survive_the_tokenizer() -> None:
    asked = small("chain")
    tokenizer = digit_tokenizer(asked.task)
    assert tokenizer(asked.texts)["input_ids"] == asked.prompt_tokens.tolist()
    assert tokenizer.batch_decode(torch.tensor(asked.prompt_tokens)) == asked.texts
    # The token that ends has no place in what the model can write.
    assert tokenizer.eos_token == tokenizer.pad_token == END
    assert tokenizer.eos_token_id == asked.vocabulary == causal_lm(asked.task).lm_head.out_features


@pytest.mark.parametrize("verifier", ["chain", "answer"])
def test_the_reward_of_a_text_is_the_verdict_on_its_digits(verifier: str) -> None:
    asked = small(verifier)
    # Prompt 7 of base 3 is 2 1: sums 2 0, answer 0.
    texts = ["2 0 0", "1 1 0", "2 0 1", "2 0", "2 0 0 0", "2 0 <end>", ""]
    expected = [1.0, float(verifier == "answer"), 0.0, 0.0, 0.0, 0.0, 0.0]
    assert asked.reward(["2 1"] * 7, texts, other_column=[0] * 7) == expected
    with pytest.raises(KeyError, match="1 1"):
        asked.reward(["1 1"], ["1 2 2"])


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_every_derivation_is_paid(verifier: str) -> None:
    asked = small(verifier)
    for text, right in zip(asked.texts, asked.derivations.tolist(), strict=True):
        written = [" ".join(map(str, tokens)) for tokens in right]
        assert asked.reward([text] * len(right), written) == [1.0] * (6 if verifier == "order" else 1)


def test_held_out_prompts_are_no_training_prompts() -> None:
    task = ChainSum(base=3, digits=2)
    train, held_out = Questions.split(task, held_out=4, seed=1)
    assert sorted([*train.chosen, *held_out.chosen]) == list(range(9))
    assert len(held_out.chosen) == 4
    assert set(Questions.split(task, held_out=4, seed=2)[1].chosen) != set(held_out.chosen)
    for wrong in (0, 9):
        with pytest.raises(ValueError, match=f"held_out={wrong}: .* 1 to 8"):
            Questions.split(task, held_out=wrong)


@pytest.mark.parametrize("verifier", VERIFIERS)
@pytest.mark.parametrize("training", [False, True])
def test_success_is_the_sum_over_all_outputs(verifier: str, training: bool) -> None:
    """Against the float64 policy's enumeration of 27 outputs a prompt; the forward pass here is float32.

    So is the entropy among the right ones, which are told by the rewards of the outputs alone.
    """
    asked = small(verifier)
    model = causal_lm(asked.task, seed=3)
    supervise(model, asked, until=lambda step: step == 30)  # away from uniform
    if training:  # as a trainer has it, which recomputes activations and so keeps no cache
        model.activation_checkpointing_enable()
    model.train(training)
    policy = exact_policy(model, asked)
    shares = [policy.probabilities(policy.theta, i) for i in range(4)]
    expected = [share @ policy.rewards(i) for i, share in enumerate(shares)]
    assert np.ptp(expected) > (0.005 if verifier == "order" else 0.05)
    # Three log-probabilities, each of some tens of float32 roundings.
    np.testing.assert_allclose(success(model, asked), expected, rtol=300 * 2**-24)
    right = [share[policy.rewards(i) > 0] / expected[i] for i, share in enumerate(shares)]
    effective = [np.exp(-(each * np.log(each)).sum()) for each in right]
    np.testing.assert_allclose(diversity(right_probabilities(model, asked)), effective, rtol=300 * 2**-24)
    assert min(effective) > 1.5 or verifier == "chain"
    assert model.training == training


def test_diversity() -> None:
    """One of all, all alike, and none."""
    probabilities = np.array([[0.3, 0.0, 0.0], [0.1, 0.1, 0.1], [0.2, 0.1, 0.0], [0.0, 0.0, 0.0]])
    two = 3 / 2 ** (2 / 3)  # exp of the entropy of 2/3, 1/3
    np.testing.assert_allclose(diversity(probabilities), [1.0, 3.0, two, np.nan], rtol=1e-14)


def test_the_float64_policy_is_the_model() -> None:
    asked = small("chain")
    model = causal_lm(asked.task, seed=4).eval()
    model.forward = lambda *_, **__: pytest.fail("a trainer's forward is bound to the trainer's model")
    policy = exact_policy(model, asked)
    del model.forward
    tokens = torch.tensor(np.concatenate([asked.prompt_tokens, asked.derivations[:, 0]], axis=1))
    found = policy.policy.function(torch.tensor(policy.theta), tokens)
    assert found.dtype == torch.float64
    theirs = model(input_ids=tokens, use_cache=False).logits.detach()
    torch.testing.assert_close(found.float(), theirs, rtol=0, atol=100 * 2**-24 * float(theirs.abs().max()))


def test_success_refuses_graded_rewards() -> None:
    asked = Questions(ChainSum(base=3, digits=2, credit=0.5), np.array([0]))
    with pytest.raises(ValueError, match=r"credit=0.5: pass@1 needs rewards of 0 and 1"):
        success(causal_lm(asked.task), asked)


def test_supervision_teaches_and_repeats_itself() -> None:
    asked = small("chain")
    models = [causal_lm(asked.task) for _ in range(2)]
    before = success(models[0], asked)
    assert [supervise(model, asked, until=lambda step: step == 20) for model in models] == [20, 20]
    first, second = (success(model, asked) for model in models)
    np.testing.assert_array_equal(first, second)
    assert (first > 2 * before).all()
    assert not np.array_equal(success(causal_lm(asked.task, seed=1), asked), before)


def test_making_a_model_leaves_the_global_random_numbers_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    exact_policy(causal_lm(small("chain").task), small("chain"))
    assert torch.equal(torch.rand(1), expected)


def test_the_rules_are_defined_and_told_apart() -> None:
    for rule in RULES:
        assert get_estimator(rule).why_not(N, K) is None
    assert len({*map(colour_of, RULES)}) == len(RULES)


@pytest.mark.parametrize(("size", "times"), [(1, 1.0), (50, 47.9)])
def test_the_size_multiplies_the_parameters(size: int, times: float) -> None:
    counts = [causal_lm(small("order").task, width=width(each)).num_parameters() for each in (1, size)]
    assert counts[1] / counts[0] == pytest.approx(times, abs=0.1)


def test_both_verifiers_ask_the_same_prompts() -> None:
    for chain, answer in zip(questions("chain"), questions("answer"), strict=True):
        assert chain.texts == answer.texts
        assert (chain.task.verifier, answer.task.verifier) == ("chain", "answer")
    assert len(questions("chain")[1].chosen) == SETTINGS["chain"].held_out


def test_the_prompts_in_any_order() -> None:
    train, held_out = questions("order")
    assert (len(train.chosen), len(held_out.chosen)) == (24, 24)
    assert not {*train.chosen} & {*held_out.chosen}
    assert train.derivations.shape == (24, 30, 5)


#: Ends of the runs of a rule, by seed, in the made-up rows.
ENDS = {GRPO: (0.1, 0.2, 0.3), REFERENCE: (0.2, 0.3, 0.4), "predictive": (0.3,) * 3, "maxpo": (0.3, 0.4, 0.5)}


@pytest.fixture
def rows() -> pd.DataFrame:
    made = []
    for place, (rule, ends) in enumerate(ENDS.items()):
        own = Row(kind="curve", verifier="order", rule=rule, k=K, n=N)
        measured = replace(own, checkpoint="warm start", pass_at_1=0.1, ratio=1.0 + 0.1 * place)
        made.append(replace(measured, kind="prompt", prompt=7, trace_covariance=2.0))
        made.append(
            replace(
                measured,
                kind="variance",
                efficiency=None if rule == GRPO else 0.5,
                snr=0.01,
                total_trace=5.0,
                sampled_trace=6.0,
                sampled_trace_error=0.5,
                total_ratio=1.2,
                sampled_ratio=1.3,
                sampled_ratio_error=0.1,
            )
        )
        if rule != GRPO:
            made.append(replace(own, kind="prediction", checkpoint="warm start", second_moment=4.0 - place))
        made += [replace(own, kind="tuning", learning_rate=size, seed=9, area=size) for size in (2e-4, 1e-3)]
        for seed, end in enumerate(ends):
            run = replace(own, learning_rate=1e-3, seed=seed)
            for step, value in ((0, 0.1), (8, end)):
                made.append(
                    replace(run, step=step, pass_at_1=value, pass_at_k=2 * value, diversity=3.0 - value)
                )
            end_of = {
                "pass_at_1": end,
                "pass_at_k": 2 * end,
                "area": end,
                "rollouts": 100 * end,
                "diverged": 0,
            }
            check = {"held_out_pass_at_k": 0.5, "sampled_pass_at_k": 0.53}
            error = {"sampled_pass_at_k_error": 0.01 + 0.005 * seed}
            made.append(replace(run, kind="run", step=8, diversity=2.0, **end_of, **check, **error))
    made.append(
        Row(kind="power", verifier="order", rule=REFERENCE, k=K, n=N, quantity="pass_at_k", visible=0.07)
    )
    return pd.DataFrame([asdict(row) for row in made])


def test_the_table_compares_the_ends_of_the_runs(rows: pd.DataFrame) -> None:
    lines = STUDY.table(rows).set_index("rule")
    assert lines.index.tolist() == list(RULES)
    assert lines.loc["maxpo", "pass@1"].startswith("0.400 [")
    # Run by run MaxPO is 0.1 ahead of the reference: no spread.
    assert lines.loc["maxpo", f"pass@1, against {REFERENCE}"] == "0.100 [0.100, 0.100], visible 0.000"
    # The differences are -.2, 0 and .2: their mean has the error .2/sqrt(3), with two degrees of freedom.
    compared = str(lines.loc["predictive", f"pass@4, against {REFERENCE}"])
    assert compared.endswith("[-0.497, 0.497], visible 0.653")
    critical = 0.497 / (0.2 / math.sqrt(3))
    # Two degrees of freedom: half the chi-square is exponential, and the power one integral of normal tails.
    power, _ = quad(
        lambda u: math.exp(-u) * norm.cdf(0.653 / (0.2 / math.sqrt(3)) - critical * math.sqrt(u)), 0, math.inf
    )
    assert power == pytest.approx(0.8, abs=0.001)
    assert (lines["sampled pass@4, largest |z|"] == "3.0").all()
    assert lines.loc["maxpo", "variance ratio, warm start"] == "1.300"
    assert lines.loc[GRPO, "variance ratio, warm start"] == "-"
    assert lines.loc["maxpo", "rollouts predicted, warm start"] == "0.333"
    assert (lines["step size"] == "0.001").all()
    assert (lines["sampled, |z|, warm start"] == "2.0").all()
    assert (lines["diverged"] == 0).all()


def test_wandb_gets_means_over_the_seeds(rows: pd.DataFrame) -> None:
    found = {each.name: each for each in STUDY.curves(rows)}
    assert set(found) == set(RULES)
    assert found["maxpo"].seed_group == "seeds 0-2"
    assert found["maxpo"].points[8]["order/pass_at_1"] == pytest.approx(0.4, rel=1e-15)
    assert found["maxpo"].points[0]["order/pass_at_k"] == pytest.approx(0.2, rel=1e-15)
    assert found["maxpo"].points[8]["order/diversity"] == pytest.approx(2.6, rel=1e-15)


def test_the_figures_show_what_is_in_the_rows(rows: pd.DataFrame) -> None:
    with drawing():
        figures = STUDY.draw(rows)
        assert set(figures) == {"figure", "variance", "learning_rate"}
        lead, kept = figures["figure"].axes[:2]
        by_colour = {line.get_color(): line.get_ydata()[-1] for line in lead.lines}
        assert by_colour[colour_of("maxpo")] == pytest.approx(0.2, rel=1e-14)
        by_colour = {line.get_color(): line.get_ydata()[-1] for line in kept.lines}
        assert by_colour[colour_of("grpo")] == pytest.approx(2.8, rel=1e-15)
        marks = [
            line.get_xdata()[0] for line in figures["variance"].axes[0].lines if len(line.get_xdata()) == 1
        ]
        assert {1.2, 1.3} <= set(marks)
        tuned = figures["learning_rate"].axes[0].lines[0]
        assert tuned.get_ydata().tolist() == [2e-4, 1e-3]
