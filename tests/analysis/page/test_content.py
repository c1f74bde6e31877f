"""What the report page holds, without node or a browser: claims, tables, rules, words, drawings, colours."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import maxpo_lab as ml
from analysis.page import build, content, figures, packages, prose
from analysis.page.bundle import Bundle, Licence
from analysis.run.registry import list_studies

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "results"
FORMULAS = packages.WEB / "formulas"
STYLE = (packages.WEB / "style.css").read_text(encoding="utf-8")


class Elements(HTMLParser):
    """The elements of a page, each its name and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def text() -> str:
    """The page, of the paper's results, with a stub for what node makes and a drawing of nothing."""
    with pytest.MonkeyPatch.context() as patch:
        drawing = '<svg width="10.5pt" height="20pt"></svg>'
        names = {name: [p.stem for p in (RESULTS / name).glob("*.pdf")] for name in list_studies()}
        patch.setattr(figures, "vectors", lambda study, _: dict.fromkeys(sorted(names[study]), drawing))
        patch.setattr(build.joblib, "Parallel", lambda n_jobs: lambda calls: [f(*a) for f, a, _ in calls])
        patch.setattr(build, "bundle", lambda: Bundle("", (Licence("a", "1", "do & <what> you like"),)))
        return build.page(RESULTS)


def test_the_verdicts_are_those_of_the_claims(text: str) -> None:
    records = json.loads((RESULTS / "claims.json").read_text())
    counts = Counter(record["verdict"] for record in records)
    assert dict(content.verdicts(content.claims(RESULTS))) == counts
    shown = Counter(
        each["data-verdict"] for tag, each in Elements(text).found if each.get("class") == "claim"
    )
    assert shown == counts
    for record in records:
        assert f'id="claim-{record["name"]}"' in text


def test_a_verdict_that_is_new_is_counted() -> None:
    themes = {"a": [{"verdict": "contradicted"}, {"verdict": "holds"}], "b": [{"verdict": "contradicted"}]}
    assert content.verdicts(themes) == [("holds", 1), ("contradicted", 2)]


def test_every_link_of_the_page_has_its_place(text: str) -> None:
    page = Elements(text)
    places = [str(each["id"]) for _, each in page.found if "id" in each]
    assert len(places) == len(set(places))
    links = [str(each["href"]) for each in page.all("a")]
    assert len(links) > 300
    for link in links:
        assert link.startswith("https://") or link[1:] in places, link
    assert not [each for tag, each in page.found if "src" in each], "everything is in the page"


def test_pictures_and_controls_say_what_they_are(text: str) -> None:
    page = Elements(text)
    pictures = page.all("img")
    assert len(pictures) == sum(len(list((RESULTS / name).glob("*.pdf"))) for name in list_studies())
    assert all(each["alt"] for each in pictures)
    labelled = {each.get("for") for each in page.all("label")}
    for each in page.all("input"):
        named = each.get("aria-label") or each.get("id") in labelled or each.get("name") == "words"
        assert named, each
    levels = [int(tag[1]) for tag, _ in page.found if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert "do &amp; &lt;what&gt; you like" in text


def test_the_catalogue_is_the_registry() -> None:
    rules = {rule["name"]: rule for rule in content.rules()}
    assert {*ml.list_estimators("group"), *ml.list_estimators("memory"), "gdpo"} <= {*rules}
    assert rules["maxpo"]["paper"] == "https://arxiv.org/abs/2606.06080"
    assert (rules["maxpo"]["unbiased"], rules["maxpo"]["centered"]) == (True, True)
    assert rules["reinforce"]["paper"] == ""


def explorer_rules(file: str, name: str) -> list[str]:
    """The names in an object of the page's script."""
    body = (FORMULAS / file).read_text().partition(f"export const {name} = {{")[2].partition("};")[0]
    return re.findall(r'(?:^  |^ )"?([a-z][\w-]*)"?: (?=[\w{])', body, flags=re.MULTILINE)


def test_the_explorer_s_rules_are_the_registry_s() -> None:
    found = explorer_rules("rules.js", "RULES")
    assert len(found) > 30
    without_parameters = {name for name in ml.list_estimators("group") if ":" not in name}
    assert without_parameters == {*found, "krpo"}, "krpo stands with its places"
    assert {*explorer_rules("history.js", "HISTORY_RULES")} < {*ml.list_estimators("memory")}


def test_cells_are_numbers_where_json_has_them(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('a,"b, c",d\n1,0.50,nan\n-2e-3,inf,"maxpo 0.88"\n1_000,0x10,\n')
    table = content.read_table(path)
    assert table.columns == ("a", "b, c", "d")
    assert table.rows == ((1, 0.5, "nan"), (-0.002, "inf", "maxpo 0.88"), ("1_000", "0x10", ""))
    assert isinstance(table.rows[0][0], int)


def test_data_cannot_end_the_element_that_holds_it() -> None:
    text = content.as_json({"a": "</script><script>"})
    assert "</" not in text
    assert json.loads(text) == {"a": "</script><script>"}


def test_a_finding_leads_into_the_page() -> None:
    text = """# Name

## Question

What?

## Finding

- see [table](../../../results/beyond-n/table.md), [it](../../../results/history/one.png),
  [other](../phase_diagram/README.md),
  [docs](../../../docs/reference/rules.md) and [a paper](https://arxiv.org/abs/2606.06080) <b>

### More

| | a |
|---|---|
| b | 1 |

![Over the rate](../../../results/variance/figure.png)
"""
    assert prose.captions(text) == {"figure": "Over the rate"}
    html = prose.as_html(prose.sections(text)["Finding"], 'A & "B"')
    links = [each["href"] for each in Elements(html).all("a")]
    assert links == [
        "#study-beyond-n",
        "#figure-history-one",
        "#study-phase-diagram",
        "https://arxiv.org/abs/2606.06080",
    ]
    assert "docs and" in html
    assert "<img" not in html
    assert "<h4>More" in html
    assert "&lt;b&gt;" in html, "text is text"
    assert 'aria-label="A &amp; &quot;B&quot;, table 1"' in html
    assert "<th></th>" not in html


def test_drawings_are_vectors_and_the_same_each_time() -> None:
    drawn = figures.vectors("decomposition", RESULTS)
    assert list(drawn) == ["figure"]
    assert drawn == figures.vectors("decomposition", RESULTS)
    root = ET.fromstring(drawn["figure"])
    assert root.tag.endswith("svg")
    assert "<image" not in drawn["figure"]
    links = re.findall(r'(?:href|src)="([^"]*)"', drawn["figure"])
    assert links
    assert all(each.startswith(("#", "data:")) for each in links)
    assert build._size(drawn["figure"])[0] == round(float(root.attrib["width"].removesuffix("pt")))


def test_only_coordinates_of_paths_lose_digits() -> None:
    scaled = '<defs><path d="M 1.23456 2"/></defs><g transform="scale(0.075 -0.075)"/>'
    svg = f'<?xml?><svg>{scaled}<path d="M 1.23956 2.5"/></svg>'
    assert figures._compact(svg) == svg.removeprefix("<?xml?>").replace("1.23956", "1.23")


def tokens(place: int) -> dict[str, str]:
    """The colours of the light page, or of the dark one."""
    pairs = re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", STYLE)
    return {name: colours[place] for name, *colours in pairs}


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("place", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_what_it_is_on(place: int) -> None:
    """WCAG AA: 4.5 for text, 3 for the edges of controls."""
    colours = tokens(place)
    for text, least in (
        *((name, 4.5) for name in ("ink", "soft", "link", "holds", "conditions", "fails", "undecided")),
        ("edge", 3.0),
    ):
        for ground in ("paper", "card", "sunk"):
            low, high = sorted([luminance(colours[text]), luminance(colours[ground])])
            assert (high + 0.05) / (low + 0.05) >= least, (text, ground)
    low, high = sorted([luminance(colours["accent"]), luminance(colours["on-accent"])])
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_a_colour_stands_once_for_light_and_dark() -> None:
    names = re.findall(r"^\s*--([\w-]+): light-dark\(", STYLE, flags=re.MULTILINE)
    assert len(names) >= 14
    assert len(names) == len({*names}) == len(tokens(0))
    others = re.findall(r": .*(#[0-9a-f]{3,6})\b", re.sub(r"light-dark\([^)]*\)", "", STYLE))
    assert others == ["#1b1e22"], "a figure's own text, on its own paper"


def test_packages_are_locked() -> None:
    wanted = json.loads((packages.WEB / "package.json").read_text())
    lock = json.loads((packages.WEB / "package-lock.json").read_text())["packages"]
    for name, version in (wanted["dependencies"] | wanted["devDependencies"]).items():
        assert lock[f"node_modules/{name}"]["version"] == version
    assert all("integrity" in entry for path, entry in lock.items() if path)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"claims\.json is not there: `python -m analysis claims`"):
        build.page(tmp_path)
    (tmp_path / "claims.json").write_text("[]")
    with pytest.raises(FileNotFoundError):
        build.page(tmp_path)
    monkeypatch.setattr(packages, "HOME", tmp_path)
    with pytest.raises(FileNotFoundError, match="`make page` installs it"):
        packages.package("esbuild")
