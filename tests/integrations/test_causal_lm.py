"""A tiny language model on ChainSum, its exact success, and what of the study ``llm`` needs no training."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.integration
torch = pytest.importorskip("torch")
pytest.importorskip("transformers", reason="transformers comes with TRL")

from analysis.output.colours import colour_of  # noqa: E402
from analysis.output.style import drawing  # noqa: E402
from analysis.studies.llm import STUDY  # noqa: E402
from analysis.studies.llm.design import (  # noqa: E402
    GRPO,
    HELD_OUT,
    REFERENCE,
    RULES,
    SHARED,
    STARTS,
    K,
    N,
    Training,
    Variance,
)
from analysis.studies.llm.rows import Row  # noqa: E402
from analysis.studies.llm.start import questions  # noqa: E402
from analysis.studies.llm.training import evaluation_points, pass_at  # noqa: E402
from envs import ChainSum  # noqa: E402
from envs.language_models.causal_lm import END, causal_lm, digit_tokenizer  # noqa: E402
from envs.language_models.completions import success  # noqa: E402
from envs.language_models.exact_lm import exact_policy  # noqa: E402
from envs.language_models.questions import Questions  # noqa: E402
from envs.language_models.supervised import supervise  # noqa: E402
from maxpo_lab import get_estimator  # noqa: E402

VERIFIERS = ("chain", "answer")


def small(verifier: str) -> Questions:
    """Four prompts of nine, in no order."""
    return Questions(ChainSum(base=3, digits=2, verifier=verifier), np.array([7, 0, 5, 2]))


def test_prompts_and_completions_survive_the_tokenizer() -> None:
    asked = small("chain")
    tokenizer = digit_tokenizer(asked.task)
    assert tokenizer(asked.texts)["input_ids"] == asked.prompt_tokens.tolist()
    assert tokenizer.batch_decode(torch.tensor(asked.prompt_tokens)) == asked.texts
    # The token that ends has no place in what the model can write.
    assert tokenizer.eos_token == tokenizer.pad_token == END
    assert tokenizer.eos_token_id == asked.vocabulary == causal_lm(asked.task).lm_head.out_features


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_the_reward_of_a_text_is_the_verdict_on_its_digits(verifier: str) -> None:
    asked = small(verifier)
    # Prompt 7 of base 3 is 2 1: sums 2 0, answer 0.
    texts = ["2 0 0", "1 1 0", "2 0 1", "2 0", "2 0 0 0", "2 0 <end>", ""]
    expected = [1.0, float(verifier == "answer"), 0.0, 0.0, 0.0, 0.0, 0.0]
    assert asked.reward(["2 1"] * 7, texts, other_column=[0] * 7) == expected
    right = [" ".join(map(str, tokens)) for tokens in asked.right.tolist()]
    assert asked.reward(asked.texts, right) == [1.0] * 4
    with pytest.raises(KeyError, match="1 1"):
        asked.reward(["1 1"], ["1 2 2"])


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
    """Against the float64 policy's enumeration of 27 outputs a prompt; the forward pass here is float32."""
    asked = small(verifier)
    model = causal_lm(asked.task, seed=3)
    supervise(model, asked, until=lambda step: step == 30)  # away from uniform
    if training:  # as a trainer has it, which recomputes activations and so keeps no cache
        model.activation_checkpointing_enable()
    model.train(training)
    policy = exact_policy(model, asked)
    expected = [policy.probabilities(policy.theta, i) @ policy.rewards(i) for i in range(4)]
    assert np.ptp(expected) > 0.05
    # Three log-probabilities, each of some tens of float32 roundings.
    np.testing.assert_allclose(success(model, asked), expected, rtol=300 * 2**-24)
    assert model.training == training


def test_the_float64_policy_is_the_model() -> None:
    asked = small("chain")
    model = causal_lm(asked.task, seed=4).eval()
    model.forward = lambda *_, **__: pytest.fail("a trainer's forward is bound to the trainer's model")
    policy = exact_policy(model, asked)
    del model.forward
    tokens = torch.tensor(np.concatenate([asked.prompt_tokens, asked.right], axis=1))
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


def test_the_design() -> None:
    for rule in RULES:
        assert get_estimator(rule).why_not(N, K) is None
    assert len({*map(colour_of, RULES)}) == len(RULES)
    for preset in ("smoke", "standard", "paper"):
        cells = STUDY.cells(preset)
        assert len(set(cells)) == len(cells)
        for cell in (each for each in cells if isinstance(each, Training)):
            points = evaluation_points(cell)
            assert list(points) == sorted(set(points))
            assert (points[0] > 0, points[-1]) == (True, cell.steps)
    runs = [cell for cell in STUDY.cells("paper") if isinstance(cell, Training)]
    budgets = {(cell.steps, cell.evaluations) for cell in runs}
    assert len(budgets) == 1
    for verifier in STARTS:
        seeds = [
            {c.seed for c in runs if (c.verifier, c.rule, c.learning_rate) == (verifier, rule, SHARED)}
            for rule in RULES
        ]
        assert all(each == seeds[0] for each in seeds)
        assert len(seeds[0]) >= 3
    assert {(c.verifier, c.checkpoint) for c in STUDY.cells("paper") if isinstance(c, Variance)} == {
        (verifier, at) for verifier in STARTS for at in ("warm start", "trained")
    }


def test_both_verifiers_ask_the_same_prompts() -> None:
    for chain, answer in zip(questions("chain"), questions("answer"), strict=True):
        assert chain.texts == answer.texts
        assert (chain.task.verifier, answer.task.verifier) == ("chain", "answer")
    assert len(questions("chain")[1].chosen) == HELD_OUT


def test_pass_at_k() -> None:
    p = np.array([0.0, 1e-18, 0.25, 1.0])
    np.testing.assert_allclose(pass_at(2, p), [0.0, 2e-18, 1 - 0.75**2, 1.0], rtol=1e-15)


#: Ends of the runs of a rule, by seed, in the made-up rows.
ENDS = {GRPO: (0.1, 0.2, 0.3), REFERENCE: (0.2, 0.3, 0.4), "predictive": (0.3,) * 3, "maxpo": (0.3, 0.4, 0.5)}


@pytest.fixture
def rows() -> pd.DataFrame:
    made = []
    for place, (rule, ends) in enumerate(ENDS.items()):
        own = Row(kind="curve", verifier="chain", rule=rule, k=K, n=N)
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
        for seed, end in enumerate(ends):
            run = replace(own, learning_rate=SHARED, seed=seed)
            for step, value in ((0, 0.1), (8, end)):
                made.append(replace(run, step=step, pass_at_1=value, pass_at_k=2 * value, right_chain=value))
            sampled = {"sampled_pass_at_k": 2 * end + 0.03, "sampled_pass_at_k_error": 0.01 + 0.005 * seed}
            made.append(replace(run, kind="sample", step=8, pass_at_1=end, pass_at_k=2 * end, **sampled))
    return pd.DataFrame([asdict(row) for row in made])


def test_the_table_compares_the_ends_of_the_runs(rows: pd.DataFrame) -> None:
    lines = STUDY.table(rows).set_index("rule")
    assert lines.index.tolist() == list(RULES)
    assert lines.loc["maxpo", "pass@1 at the end"].startswith("0.400 [")
    # Run by run MaxPO is 0.1 ahead of the reference: no spread.
    assert lines.loc[REFERENCE, "pass@1, maxpo - rule"] == "0.100 [0.100, 0.100]"
    assert lines.loc["predictive", "pass@4, maxpo - rule"].startswith("0.200 [0.")
    assert (lines["sampled pass@4, largest |z|"] == "3.0").all()
    assert lines.loc["maxpo", "variance ratio, warm start"] == "1.300"
    assert lines.loc[GRPO, "variance ratio, warm start"] == "-"
    assert (lines["sampled, |z|, warm start"] == "2.0").all()


def test_wandb_gets_means_over_the_seeds(rows: pd.DataFrame) -> None:
    found = {each.name: each for each in STUDY.curves(rows)}
    assert set(found) == set(RULES)
    assert found["maxpo"].seed_group == "seeds 0-2"
    assert found["maxpo"].points[8]["chain/pass_at_1"] == pytest.approx(0.4, rel=1e-15)
    assert found["maxpo"].points[0]["chain/pass_at_k"] == pytest.approx(0.2, rel=1e-15)


def test_the_figures_show_what_is_in_the_rows(rows: pd.DataFrame) -> None:
    with drawing():
        figures = STUDY.draw(rows)
        assert set(figures) == {"figure", "variance", "learning_rate"}
        first, _, scatter = figures["figure"].axes[:3]
        by_colour = {line.get_color(): line.get_ydata()[-1] for line in first.lines}
        assert by_colour[colour_of("maxpo")] == pytest.approx(0.4, rel=1e-15)
        assert by_colour[colour_of("grpo")] == pytest.approx(0.2, rel=1e-15)
        drawn = [float(line.get_ydata()[0]) for line in scatter.lines if len(line.get_ydata()) == 1]
        assert sorted(drawn) == pytest.approx([1.2, 1.3])
        bars = figures["variance"].axes[0].patches
        assert [bar.get_width() for bar in bars] == [1.2, 1.3, 1.2, 1.2]
