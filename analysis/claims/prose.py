"""Numbers of the pages: those that readings quote, those that measure nothing, and those without a source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .claim import Claim, Reading

#: Numbers that are no measurement: settings and sizes, names that have digits, powers and shares in letters.
NOT_MEASURED = (
    r"\b(?:n|K|P|m|k|p|T|p_0|t) ?(?:=|<|>|<=|>=|is|near|above|below|of|from|to|at|up to) ?"
    r"-?[\d.,]*\d(?:e-?\d+)?"
    r"(?:(?:, | and | or | to |, then )[\d.,]*\d\b(?!%| times| rad))*",
    r"\b(?:pass|max)@\(?\d+",
    r"\b\d[\d,]* of (?:\d[\d,]*|ten)\b",
    r"\b(?:1 ?/ ?\(?[nKP](?:-1\))?|1 ?- ?(?:1 ?/|K ?/ ?)n|\d+(?:\.\d+)? ?n\b|\d+ K\b|[nK]\s?[-+]\s?\d|K/\d)",
    r"\b0/1\b",
    r"(?<![\d.,-])[01](?![\d.,]*[\d%])",
    r"\b95 ?%",
    r"\b(?:K|KL|at KL|clip of|epsilon of|x|rates? of|probability|success) \(?[\d.]*\d(?: p\b)?",
    r"arXiv:? ?\d{4}\.\d{5}|\b\d{4}\.\d{5}\b",
    r"\b(?:verl|TRL|ms-swift|issue|section|Theorem|pull request|November|PRESET)[ \d.]*\d",
    r"\[\d, \d+\]|\[0, 1\]",
    r"\b[\d,]+ (?:rollouts|prompts|seeds|specimens|rules|parameters|weights|steps|visits|groups|arms)\b",
    r"\b[\d,]+ levels\b",
)
#: Numbers of an argument: of a definition, of a formula that stands next to them, of a test's own bound.
ARGUED = (
    "costs 20% more noise",  # 2.0 over 1.66, above
    "Least efficiency over p in [0.001, 0.9]",
    "With a history of 0.7 p",
    "One of 10 correct",
    "0.95 has reached half of the rate",
    "history adds at most 2%",
    "rate within some 10%",
    "within about 3% of the floor",
    "At 0.013, where right words pass 1.2",
    "At 0.1 nothing that is left climbs",
    "Clip-higher (0.28)",
    "bounds of 3e-4 and 4e-4 are for long sequences",
    "with its default bound of 0.2",
    "to 5 |",
    "below 0.005 nothing happens",
    "where infinite groups would have 16. Groups of 2 and 3 have none of it",
    "is worth more than 12.5% at n = 8",
    "weighs a prompt of p = .001",
    '"Never whiten max@K over fewer than about 32 prompts" is too strict; "never over fewer than 8" is right',
    "by the product of all states at P = 2, 3 (and 4 at n = 8)",
    "success ~ Beta(.5, 2)",
    "from 16 on it is less",
    "K = 4, P = 32, n = 8 (16)",
    "8 prompts give most of that, and 16 all but two points",
    "more than the 1 to 6 that we expected",
    "Of 16 prompts from 0.001 to 0.9",
    "differ by 99 for each fall",
    "failures keep their -1",
    "The bound for a cell is 87%; standard errors too small by the root of 2 would give 83%",
    "as 3 standard errors on average should",
    "its scale is 1 to 1%",
    "from 17 count states",
    "rates moved by less than some 10% since",
    "1,000 redraws from seed 42",
    "the best of 8 draws with replacement from 8 responses: about the best of 5",  # 8 (1 - (7/8)^8)
    "pass@8 of the samples with 8 scored epochs",
)
_SKIPPED = (
    r"<!-- verdicts.*?<!-- /verdicts -->",  # written from rows by the study itself
    r"```.*?```",
    r"^\|[^\n]*\|\n(?=\|[-|: ]+\|\n)",  # the head of a table
    r"`[^`\n]*`",
    r"!?\[[^\]]*\]\([^)]*\)",
    r"\]\([^)]*\)",
)
NUMBER = re.compile(r"(?<![\w@.])-?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:e-?\d+)?%?")


@dataclass(frozen=True)
class Unsourced:
    """A number of a page that no reading has, with the words around it."""

    number: str
    around: str


def plain(text: str) -> str:
    """A page's text in one line of single blanks."""
    return re.sub(r"\s+", " ", text)


def finding(text: str) -> str:
    """The part of a study's page that says what was found; all of a page that has no such part."""
    _, _, found = text.partition("\n## Finding\n")
    return found or text


def misquoted(claims: Iterable[Claim], root: Path) -> Iterator[tuple[Claim, Reading]]:
    """Readings whose words their page does not have."""
    pages: dict[str, str] = {}
    for claim in claims:
        if claim.page:
            text = pages.setdefault(claim.page, plain((root / claim.page).read_text(encoding="utf-8")))
            yield from ((claim, reading) for reading in claim.readings if plain(reading.words) not in text)


def unsourced(page: str, claims: Iterable[Claim], root: Path) -> list[Unsourced]:
    """Numbers of a page's finding that no reading quotes, and that are not among ``NOT_MEASURED``."""
    text = finding((root / page).read_text(encoding="utf-8"))
    return unsourced_text(text, [claim for claim in claims if claim.page == page])


def unsourced_text(text: str, claims: Iterable[Claim]) -> list[Unsourced]:
    """As ``unsourced``, of a text; the claims are those that it quotes."""
    for pattern in _SKIPPED:
        text = re.sub(pattern, lambda match: " " * len(match[0]), text, flags=re.DOTALL | re.MULTILINE)
    text = plain(text)
    quoted = [plain(_bare(reading.words)) for claim in claims for reading in claim.readings]
    blank = bytearray(len(text))
    for pattern in [*map(re.escape, (*quoted, *ARGUED)), *NOT_MEASURED]:
        for match in re.finditer(pattern, text):
            blank[match.start() : match.end()] = b"x" * len(match[0])
    return [
        Unsourced(match[0], text[max(0, match.start() - 40) : match.end() + 25])
        for match in NUMBER.finditer(text)
        if not any(blank[match.start() : match.end()])
    ]


def _bare(words: str) -> str:
    """Words as a page reads where what is skipped is blank."""
    for pattern in _SKIPPED:
        words = re.sub(pattern, lambda match: " " * len(match[0]), words, flags=re.DOTALL | re.MULTILINE)
    return words
