#!/usr/bin/env bash
# evalscope 1.14.1: the aggregation mean_and_pass_at_k takes int(sum of the scores) for the number of right answers. With
# partial scores, four halves are two successes: pass@1 0.5, pass@2 0.83, pass@3 1.0 of a question that was never
# answered right; four scores of 0.9 are three. Beside -1 for a wrong answer, two right ones of four are none. The mean is
# right in all of these, and no threshold is asked for.
# Seen: as said; with scores of 0 and 1 alone it is the unbiased pass@k.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q colorlog==6.12.0 datasets==5.2.0 docstring_parser==0.18.0 editdistance==0.8.1 filetype==1.2.0 \
  Jinja2==3.1.6 jsonlines==4.0.0 jsonschema==4.26.0 numpy==2.4.6 pillow==13.0.0 pydantic==2.14.3 python-dotenv==1.2.4 \
  PyYAML==6.0.3 requests==2.34.2 rich==15.0.0 tabulate==0.10.0 tqdm==4.70.1
"$work/venv/bin/pip" install -q --no-deps evalscope==1.14.1
"$work/venv/bin/python" - <<'PYTHON' 2> "$work/log" || { tail -3 "$work/log"; exit 1; }
from importlib.metadata import version

from evalscope.api.metric import SampleScore, Score
from evalscope.metrics.aggregators.aggregators import MeanPassAtK


def reported(scores: list[float]) -> dict[str, float]:
    attempts = [
        SampleScore(score=Score(value={"acc": score}), sample_id=place, group_id="question", generation_index=place)
        for place, score in enumerate(scores)
    ]
    return {
        f"{each.aggregation}{each.dimensions.get('k', '')}": round(each.score, 3) for each in MeanPassAtK()(attempts)
    }


groups = ([0.5] * 4, [0.9] * 4, [1.0, 1.0, -1.0, -1.0], [1.0, 0.0, 0.0, 0.0])
found = [reported(group) for group in groups]
print(f"evalscope {version('evalscope')}")
for group, each in zip(groups, found, strict=True):
    print(group, each)
by_k = [[each[f"pass_at_k{k}"] for k in (1, 2, 3, 4)] for each in found]
expected = [[0.5, 0.833, 1.0, 1.0], [0.75, 1.0, 1.0, 1.0], [0.0] * 4, [0.25, 0.5, 0.75, 1.0]]
raise SystemExit(by_k != expected)
PYTHON
