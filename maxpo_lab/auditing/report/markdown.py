"""An audit report as a Markdown document that stands alone."""

from __future__ import annotations

from collections.abc import Sequence

from ..decide.claims import Verdict
from ..vectors.found import Vectors
from .findings import Decision, Findings
from .of_vectors import ROW_EDGE_COLUMNS, ROW_POLICY_COLUMNS, row_edge_rows, row_policy_rows
from .wording import (
    BATCH_COLUMNS,
    EDGE_COLUMNS,
    POLICY_COLUMNS,
    STATE_COLUMNS,
    batch_rows,
    edge_rows,
    facts,
    policy_rows,
    setting,
    state_rows,
    why,
)


def markdown(report: Findings) -> str:
    """The report as Markdown."""
    parts: list[str] = []
    if report.policies is not None:
        parts += [
            "## Under reference policies",
            "Softmax policies whose right answers, many (100 of 1000) or one (of 10), share the success "
            "probability p. Noise is tr Cov / scale^2 (loo1: pkpo-loo1), the floor the least noise of an "
            "unbiased rule (one whose scale depends on the policy may come below it), dead the chance of a "
            "group without any advantage. A dash: not defined, as where the direction is not the gradient's.",
            table(POLICY_COLUMNS, policy_rows(report.policies)),
        ]
    if report.coupling is not None:
        parts += [
            "## Batches of P prompts",
            "A batch is P prompts, each hard, medium or easy (p = 0.02, 0.2, 0.7) with the same chance, with "
            "0/1 rewards. A weight is what the rule multiplies a prompt's gradient by; *through the batch* "
            "is the bias that is gone at large P, over the exact gradient, with its standard error where the "
            "other prompts were sampled.",
            table(BATCH_COLUMNS, batch_rows(report.coupling.over_sizes)),
        ]
    if report.vectors is not None:
        parts += _of_vectors(report.vectors)
    if report.memory is not None:
        parts += ["## At each state", table(STATE_COLUMNS, state_rows(report.memory))]
    if report.edges is not None:
        parts += ["## Groups at the edges", table(EDGE_COLUMNS, edge_rows(report.edges.cases))]
    if report.failing_test:
        parts += ["## A test that fails", f"```python\n{report.failing_test}```"]
    where = (
        f"{setting(report)}. Moments are exact. Advantages are for the mean convention, "
        f"`g = (1/n) sum_i A_i s_i`."
    )
    return document(report, where, facts(report), parts)


def _of_vectors(vectors: Vectors) -> list[str]:
    """The tables of a rule of several rewards."""
    parts: list[str] = []
    if vectors.policies is not None:
        parts += [
            "## Under reference policies",
            "Softmax policies whose rewards have the success rate p each: independent of each other; or of "
            "a specialist for each reward and a generalist at 0.6 of all, each with its share of p. Bias, "
            "scale and angle are against the target, further angles against the mean, max@K of the sum and "
            "max@K of each reward.",
            table(ROW_POLICY_COLUMNS, row_policy_rows(vectors.policies)),
        ]
    if vectors.coupling is not None:
        parts += [
            "## Batches of P prompts",
            "A batch is P prompts, each hard, medium or easy (p = 0.02, 0.2, 0.7) with the same chance, "
            f"whose 0/1 rewards are {vectors.coupling.answers}. A weight is what the rule multiplies a "
            "prompt's gradient by.",
            table(BATCH_COLUMNS, batch_rows(vectors.coupling.over_sizes)),
        ]
    if vectors.edges is not None:
        parts += ["## Groups at the edges", table(ROW_EDGE_COLUMNS, row_edge_rows(vectors.edges))]
    return parts


def document(report: Decision, where: str, found: Sequence[tuple[str, str]], parts: Sequence[str]) -> str:
    """A document of a decision: where it was made, its claims, labelled facts, and further parts."""
    outcome = "passed" if report.passed else "failed"
    verdicts = table(
        ("claim", "verdict", "why"),
        [(v.claim, _word(v), why(v)) for v in report.claims]
        + [(m.kind, "misbehaves", m.detail) for m in report.misbehaviours],
    )
    listed = "\n".join(f"- **{label}**: {_cell(text)}" for label, text in found)
    every = [f"# Audit of `{report.rule}`: {outcome}", where, verdicts, listed, *parts]
    return "\n\n".join(part for part in every if part) + "\n"


def _word(verdict: Verdict) -> str:
    return {True: "holds", False: "fails", None: "not decided"}[verdict.holds]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
