"""Numbers of the README and the documentation have a row, a test, a command or a source; others are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.claims import pages, registry
from analysis.claims.claim import Claim, Reading
from analysis.claims.verdicts import SURPRISE
from analysis.output import manifest
from maxpo_lab.evaluation.as_reported import list_reports
from maxpo_lab.memory.answers import ONE_ANSWER
from maxpo_lab.moments.batches.choice import STATES

CLAIMS = list(registry.all_claims())
ROOT = manifest.ROOT


@pytest.mark.parametrize("page", pages.pages(ROOT))
def test_every_number_of_a_page_has_a_source(page: str) -> None:
    found = pages.unsourced(page, CLAIMS, ROOT)
    listed = "\n".join(f"{each.number} in: {each.around}" for each in found)
    assert not found, f"{len(found)} numbers of {page} have no source:\n{listed}"


def test_what_is_argued_is_still_said() -> None:
    for page, words in pages.ARGUED.items():
        text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
        for each in words:
            assert " ".join(each.split()) in text, f"{page} no longer says {each!r}"
    for page in pages.ELSEWHERE:
        assert (ROOT / page).is_file()


def test_what_is_argued_is_so() -> None:
    assert (STATES, ONE_ANSWER, SURPRISE) == (20_000, 0.6, 6.1)
    assert round(0.025 ** (1 / 60), 2) == 0.94
    assert round(1 - (7 / 8) ** 8, 2) == 0.66
    assert 0.28 * 25 > 7
    assert len({name.partition(":")[0] for name in list_reports()}) == 23


PAGE = """# Page

On $x^{2.5}$, Python 3.12 and skyrl 0.3.0 (2026-11-29) at n = 16 it gains MUCH.

```python
print(0.731)
```

That is 0.731, as printed.

By `python -m benchmarks
calls` it is 4.4 times, and

| a | b |
|---|---|
| 5.5 | 6.6 |

So it is.
"""


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("0.42", ["0.42"]),
        ("17%, or 3e-5", ["17%", "3e-5"]),
        ("{0.42} of it", []),
        ("much. In all 8.7 ms", ["8.7"]),
    ],
)
def test_a_number_without_a_source_is_found(said: str, found: list[str], tmp_path: Path) -> None:
    reading = Reading(says=f"it gains {said}" if "{" in said else "it gains {999}", study="s", of="of")
    claim = Claim(name="c", statement="", source="", figure="", page="page.md", readings=(reading,))
    (tmp_path / "page.md").write_text(PAGE.replace("MUCH", said.replace("{", "").replace("}", "")))
    assert [each.number for each in pages.unsourced("page.md", [claim], tmp_path)] == found


def test_a_command_speaks_for_its_own_paragraph_and_table_alone(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(
        "`make bench` gives 4.4.\n\n| a |\n|---|\n| 5.5 |\n\nElsewhere 6.6.\n\n| 7.7 |\n"
    )
    assert [each.number for each in pages.unsourced("page.md", [], tmp_path)] == ["6.6", "7.7"]
