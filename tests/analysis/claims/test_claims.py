"""Claims are what the stored rows say; a false one, and a row that differs, are caught and named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.claims import page, prose, registry, verify
from analysis.claims.claim import Claim, Reading
from analysis.claims.values import SeveralNumbersError, values_of
from analysis.claims.verdicts import judge
from analysis.output import manifest, report
from analysis.run.registry import list_studies
from analysis.studies.field_claims.published import CLAIMS as PUBLISHED

RESULTS = report.place("paper")
CLAIMS = list(registry.all_claims())


@pytest.fixture(scope="module")
def rows() -> dict[str, pd.DataFrame]:
    return verify.read_rows(RESULTS)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_a_claim_is_what_the_stored_rows_say(claim: Claim, rows: dict[str, pd.DataFrame]) -> None:
    found = judge(claim, rows)
    wrong = [
        f"{each.reading.words}: {each.value.number:.6g} of {each.value.rows} rows, not {each.stated.value}"
        for each in found.outcomes
        if each.found != "as said"
    ]
    assert not wrong, "\n".join(wrong)
    assert found.verdict == claim.verdict


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_a_claim_has_a_picture(claim: Claim) -> None:
    assert (RESULTS / claim.figure).is_file()


def test_the_pages_of_claims_are_those_of_the_rows(rows: dict[str, pd.DataFrame]) -> None:
    for name, text in page.pages(rows).items():
        assert (RESULTS / name).read_text(encoding="utf-8") == text, f"{name}: run python -m analysis claims"


def test_a_verdict_that_the_rows_do_not_give_is_named(
    rows: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    (claim,) = (each for each in CLAIMS if each.name == "variance-one-right")
    monkeypatch.setattr(page, "by_theme", lambda: {"of a test": [claim]})
    assert page.otherwise(rows) == []
    edited = {"variance": rows["variance"].assign(ratio=rows["variance"].ratio * 1.05)}
    assert page.otherwise(edited) == ["variance-one-right is contradicted, not 'holds'"]
    assert page.otherwise({}) == ["variance-one-right is not decided, not 'holds'"]


def test_every_claim_of_the_seed_has_a_verdict_and_a_picture() -> None:
    seed = registry.by_theme()["The paper under study"]
    assert {"seed-unbiased", "seed-centered", "seed-variance", "seed-training"} <= {
        each.name for each in seed
    }
    assert not [each.name for each in seed if each.verdict == "not decided"]


def test_pages_say_what_is_read() -> None:
    lost = [f"{claim.page}: {reading.words}" for claim, reading in prose.misquoted(CLAIMS, manifest.ROOT)]
    assert not lost, "\n".join(lost)


@pytest.mark.parametrize("study", list_studies())
def test_numbers_of_a_finding_are_read_from_rows(study: str) -> None:
    name = f"analysis/studies/{study.replace('-', '_')}/README.md"
    found = prose.unsourced(name, CLAIMS, manifest.ROOT)
    listed = "\n".join(f"{each.number} in: {each.around}" for each in found)
    assert not found, f"{len(found)} numbers of {name} have no source:\n{listed}"


def reading(claim: Claim, **changed: object) -> Claim:
    return replace(claim, readings=(replace(claim.readings[0], **changed),))


def some(**columns: Sequence[float]) -> dict[str, pd.DataFrame]:
    return {"s": pd.DataFrame({"of": [1.0, 2.0, 3.0]} | columns)}


@pytest.mark.parametrize(
    ("says", "take", "values", "verdict"),
    [
        ("{3}", "max", [1.0, 2.0], "holds"),  # the largest is among what is lacking
        ("{3}", "max", [1.0, 4.0], "contradicted"),
        ("{1}", "min", [2.0, 3.0], "holds"),
        ("{1}", "min", [0.2, 3.0], "contradicted"),
        ("{2.0}", "mean", [1.0, 2.5], "not decided"),
        ("{3}", "rows", [1.0, 2.0], "not decided"),
        ("{2}", "mean", [1.0, 2.0, 3.4], "holds"),
        ("{2}", "mean", [1.0, 2.0, 6.0], "contradicted"),
        ("{3}", "max", [], "not decided"),
    ],
)
def test_a_run_of_fewer_cells_is_judged_by_what_it_can_say(
    says: str, take: str, values: list[float], verdict: str
) -> None:
    claim = Claim(
        name="c",
        statement="",
        source="",
        figure="",
        readings=(Reading(says=says, study="s", of="of", take=take),),
    )
    assert judge(claim, some()).verdict == "holds"
    found = judge(claim, {"s": pd.DataFrame({"of": values})}, some())
    assert found.verdict == verdict
    assert bool(found.why) == (verdict == "not decided")


def test_sampled_numbers_of_a_run_are_judged_by_the_stored_errors() -> None:
    near = Reading(says="{2.0}", study="s", where="key == 1", of="of", error="error", draws="draws")
    claim = Claim(name="c", statement="", source="", figure="", readings=(near,))
    stored = some(key=[0, 1, 2], error=[0.1, 0.1, 0.1], draws=[400, 400, 400])
    same, fewer = 0.05 + 0.61 * 2**0.5, 0.05 + 0.61 * 5**0.5  # rounding, and 6.1 errors of the difference
    for draws, most in ((400, same), (100, fewer)):
        for error in (0.0, 0.1, 1e3):  # what the run says of itself excuses and accuses nothing
            for value, verdict in ((2 + 0.99 * most, "holds"), (2 + 1.01 * most, "contradicted")):
                row = {"of": [value], "key": [1], "error": [error], "draws": [draws]}
                fresh = {"s": pd.DataFrame(row)}
                assert judge(claim, fresh, stored).verdict == verdict, (draws, error, value)
                assert judge(claim, fresh).verdict == "contradicted"
    unknown = replace(claim, readings=(replace(near, error="", drawn=True),))
    assert judge(unknown, fresh, stored).verdict == "not decided"
    assert judge(unknown, fresh).verdict == "contradicted"


def test_a_verdict_follows_from_what_bears_a_claim_out_and_what_limits_it() -> None:
    bears, limits = (
        Reading(says="{1}", study="s", of="of", take="min", limits=each) for each in (False, True)
    )
    base = Claim(name="c", statement="", source="", figure="", conditions="if", why="no rows")
    verdicts = {
        (): "not decided",
        (bears,): "holds",
        (limits,): "does not hold",
        (bears, limits): "holds with conditions",
    }
    for readings, verdict in verdicts.items():
        assert replace(base, readings=readings).verdict == verdict
    with pytest.raises(ValueError, match="state its conditions"):
        replace(base, readings=(bears, limits), conditions="")
    with pytest.raises(ValueError, match="say why it is not decided"):
        replace(base, why="")


def test_readings_are_checked() -> None:
    with pytest.raises(ValueError, match="states 2 numbers in braces, but at, of and take read 1"):
        Reading(says="{1} to {3}", study="s", of="of")
    with pytest.raises(ValueError, match="is no number; write one such as"):
        Reading(says="{about 1}", study="s", of="of")
    several = Reading(says="{1}", study="s", of="of")
    with pytest.raises(SeveralNumbersError, match="3 rows give numbers from 1 to 3; narrow where"):
        values_of(several, some()["s"])
    (outcome,) = judge(
        Claim(name="c", statement="", source="", figure="", readings=(several,)), some()
    ).contradicted
    assert "3 rows give numbers from 1 to 3; narrow where" in outcome.why


def test_readings_share_the_table_of_the_same_rows_alone() -> None:
    made = []

    def doubled(rows: pd.DataFrame) -> pd.DataFrame:
        made.append(len(rows))
        return rows * 2

    least, most = (
        Reading(says="{1}", study="s", of="of", take=take, through=doubled) for take in ("min", "max")
    )
    for count, numbers in ((3, [2.0, 6.0]), (2, [2.0, 4.0])):
        for _ in range(3):  # frames at the address of one that is gone are not taken for it
            rows = some()["s"].head(count).copy()
            assert [values_of(each, rows)[0].number for each in (least, most)] == numbers
            del rows
    assert made == [3, 3, 3, 2, 2, 2]


@pytest.mark.parametrize(
    ("text", "value", "rounding"),
    [
        ("0.13", 0.13, 0.005),
        ("85}%{", 0.85, 0.005),
        ("1,405", 1405, 0.5),
        ("5e-13", 5e-13, 5e-14),
        (".5", 0.5, 0.05),
    ],
)
def test_the_last_digit_is_the_tolerance(text: str, value: float, rounding: float) -> None:
    says = "{85}%" if "%" in text else f"{{{text}}}"
    (stated,) = Reading(says=says, study="s", of="of").stated
    assert (stated.value, stated.rounding) == (pytest.approx(value), pytest.approx(rounding))


def test_a_number_without_a_source_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(
        "# Page\n\n## Finding\n\nAt n = 16 and K = 4 it is 0.13 times, at p = 0.2 up to 3.5%, of pass@4 "
        "(arXiv 2606.06080).\n"
    )
    claim = Claim(
        name="c",
        statement="",
        source="",
        figure="",
        page="page.md",
        readings=(Reading(says="it is {0.13} times", study="s", of="of"),),
    )
    assert [each.number for each in prose.unsourced("page.md", [], tmp_path)] == ["0.13", "3.5%"]
    assert [each.number for each in prose.unsourced("page.md", [claim], tmp_path)] == ["3.5%"]
    assert not list(prose.misquoted([claim], tmp_path))
    wrong = reading(claim, says="it is {0.14} times")
    assert [each.words for _, each in prose.misquoted([wrong], tmp_path)] == ["it is 0.14 times"]


def numbers(text: str) -> list[float]:
    return [float(each) for each in re.findall(r"-?(?:\d*\.)?\d+(?:e-?\d+)?", text.replace(",", ""))]


def test_the_list_of_studies_repeats_what_their_findings_say() -> None:
    lines = re.findall(
        r"^\| \[([a-z-]+)\]\(\.\./(\S+)\) \|.*\| (.*) \|$",
        (manifest.ROOT / "docs" / "studies.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert {study for study, _, _ in lines} == set(list_studies())
    for study, readme, said in lines:
        found = numbers(prose.finding((manifest.ROOT / readme).read_text(encoding="utf-8")))
        found.append(len(PUBLISHED))
        for text in re.findall(r"\d(?:[\d,]*\d)?(?:\.\d+)?(?:e-?\d+)?", said.replace("1/16", "")):
            digits = 15 if "e" in text else len(text.partition(".")[2])
            assert any(round(each, digits) == numbers(text)[0] for each in found), (
                f"{study}: {text} in {said}"
            )
