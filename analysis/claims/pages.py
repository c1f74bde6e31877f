"""Numbers of README and documentation: from rows, from code that runs, from a command, or argued."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from . import prose
from .claim import Claim
from .prose import Unsourced

#: Pages that are checked or made as a whole, and by what.
ELSEWHERE: Mapping[str, str] = {
    "docs/reference/rules.md": "written by `python -m analysis rules` from the registry and rows",
    "docs/reference/systems.md": "each line names the run that gave it",
    "docs/speed.md": "measured by `make bench`, on the day and the machine that it states",
    "docs/worked.md": "by hand; its code, which tests/test_docs.py runs, ends with the same numbers",
    "docs/studies.md": "held to the studies' findings by tests/analysis/claims/test_claims.py",
}
#: What is no measurement on a page that explains: formulas, versions, dates, numbers of a list.
_NO_MEASUREMENT = (
    r"\$\$.*?\$\$",
    r"\$[^$\n]+\$",
    r"\b(?:Python|NumPy|SciPy|torch|Triton|JAX|TRL|verl|ms-swift|verifiers) \d[\w.]*|\bcommit [\da-f]+",
    r"\b\d+\.\d+\.\d+\w*",
    r"\b\d{4}-\d\d-\d\d\b|\b\d\d? November 2026",
    r"^ *\d\. ",
    r"\bC\([^)]*\)|\b[xyzR]_?\w*\^\d|\^\d|\\binom\S*",
    r"(?:groups?|batch(?:es)?|lists?|up) of (?:at most )?\d[\d,]*|\b\d[\d,]* (?:bits|bytes|samples a cell)\b",
    r"exit (?:status|code) \d+",
)
#: Numbers of an argument, a definition, or a run that the comment names.
ARGUED: Mapping[str, tuple[str, ...]] = {
    "README.md": ("(2 minutes, 1.9 GB)",),  # `time make setup; du -sh .venv`
    "docs/start.md": (
        "(2 minutes, 1.9 GB)",
        "10 or 100 where derivations differ",
        "took 1 minute 53 seconds",
    ),
    "docs/explain/batches.md": ("there are at most 20,000",),  # STATES of maxpo_lab/moments/batches/choice.py
    # verl's configuration; findings/trl-vllm-correction-default.sh; TRL's documentation
    "docs/explain/losses.md": ("0.2: unless it is set, every ratio above 0.2 counts as 0.2", "recommends 5."),
    "docs/explain/mixtures.md": ("its code at 50b89ea", "0.28 · 25 rounds up to 8"),
    "docs/explain/pass_at_k.md": (
        "report pass@8 = 0.62",  # an example
        "60 solved, it says 1.00 +- 0.00",
        "60 of 60 is [0.94, 1]",  # 0.025^(1/60)
        "The numbers of 23 packages",  # those of list_reports
    ),
    "docs/explain/beyond_n.md": ("0.7 of the rate",),  # 0.035 / 0.05, of the code above it
    "docs/howto/choose.md": ("so that 0.5 is twice as many rollouts",),  # what an efficiency means
    "docs/howto/audit.md": ("70: a fault of",),
    "docs/howto/frameworks.md": ("20: one beyond it", "(clipped at 20 before)"),  # of AReaL, and its test
    "docs/howto/replay.md": (
        "0.6 GB for a million prompts",  # 64 rewards of 8 bytes, 70 bytes more: tests/.../test_million.py
        "from 0.6 on a prompt",  # ONE_ANSWER of maxpo_lab/memory/answers.py
    ),
    "docs/howto/verify.md": ("6.1 standard errors",),  # SURPRISE, twice the normal tail beyond it is 1e-9
    "docs/howto/verl.md": ("one success in 8 responses: best@8 is 0.66",),  # 1 - (7/8)^8
}
_COMMAND = re.compile(r"`(?:make|python -m)\s+[a-z]")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def pages(root: Path) -> list[str]:
    """The README and the pages of the documentation, as paths from the root."""
    found = sorted(path.relative_to(root) for path in (root / "docs").rglob("*.md"))
    return ["README.md", *(str(path) for path in found if "_build" not in path.parts)]


def unsourced(page: str, claims: Iterable[Claim], root: Path) -> list[Unsourced]:
    """Numbers of a page that nothing is said to give."""
    if page in ELSEWHERE:
        return []
    text = (root / page).read_text(encoding="utf-8")
    printed = {number for code in _CODE.findall(text) for number in prose.NUMBER.findall(code)}
    kept = "\n\n".join(_told_by_no_command(text))
    for words in ARGUED.get(page, ()):
        kept = re.sub(r"\s+".join(map(re.escape, words.split())), " ", kept)
    for pattern in _NO_MEASUREMENT:
        kept = re.sub(pattern, " ", kept, flags=re.DOTALL | re.MULTILINE)
    found = prose.unsourced_text(kept, [claim for claim in claims if claim.page == page])
    return [each for each in found if each.number not in printed]


def _told_by_no_command(text: str) -> Iterator[str]:
    """The blocks of a page that name no command whose numbers they give, as the table after one does."""
    told = False
    for block in re.split(r"\n\s*\n", re.sub(r"```.*?```", "\n\n", text, flags=re.DOTALL)):
        table = block.lstrip().startswith("|")
        told = bool(_COMMAND.search(block)) or (told and table)
        if not told:
            yield block
