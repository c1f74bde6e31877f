"""The table of the study: a line per rule and group size."""

from __future__ import annotations

import json

import pandas as pd

from .judged import climbed, coupled, short, shown


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per rule and group size."""
    return pd.DataFrame([_line(row) for _, row in rows.iterrows()])


def _line(row: pd.Series) -> dict[str, object]:
    couples = isinstance(row.couples, str)
    cells = coupled(row) if couples else climbed(row)
    package = row["version"]
    numbers: dict[str, str] = json.loads(row.numbers) if isinstance(row.numbers, str) else {}
    return {
        "framework: rule": f"{row.framework}: {row.rule}",
        "measured": f"{row.framework} {package}" if isinstance(package, str) else row.origin,
        "n": row.n,
        "K": row.k,
        "meant for": row.target,
        "equals": row["equals"],
        "except": row.differs or "-",
        "or": row.formula or "-",
        "climbs": row.climbs,
        "scale": cells["limit" if couples else "scale"].text,
        "max |sum A|": "0" if row.centered == "yes" else "not 0" if couples else short(row.worst_sum),
        **{
            f"efficiency p={p}": "-" if couples else cells[f"efficiency_{rate}"].text
            for rate, p in (("hard", "0.02"), ("medium", "0.2"), ("easy", "0.7"))
        },
        "lengths": {"yes": "matter", "no": "change nothing"}.get(row.lengths or "", "-"),
        "couples": row.couples if couples else "-",
        **{
            label: cells[key].text if couples else "-"
            for key, label in (
                ("weights", "weights at P=8"),
                ("through_8", "through the batch, P=8"),
                ("through_32", "P=32"),
                ("order", "order"),
                ("angle_8", "angle, P=8"),
            )
        },
        "nearest rule": row.nearest,
        **{name: numbers.get(name, "-") for name in _NUMBERS},
        "afterwards": row.afterwards or "-",
        "default loss": row.loss or "-",
        "its angle, fresh": shown(row.loss_angle),
        "scale, fresh": shown(row.loss_scale),
        "angle, KL 0.01": shown(row.loss_angle_lagged),
        "scale, KL 0.01": shown(row.loss_scale_lagged),
    }


_NUMBERS = (
    *("1000", "1100", "3,1,2,-1", "1,-1,-1,-1", "eight 0.7", "eight 0.1", "all fail", "all right"),
    *("alone", "missing", "100,0,0,0", "together", "couples", "unequal", "interleaved"),
)
