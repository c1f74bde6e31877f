"""Tables of a report on 80 characters: no head and no number is broken."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console
from rich.padding import Padding

from maxpo_lab.auditing.report import of_vectors, terminal, wording

#: Cells as they come up: numbers have three digits, and the chance of a dead group falls to 1e-300.
CELLS = {
    "P": "256",
    "p": "0.02",
    "angle": "0.00359",
    "through\nthe batch": "0.00665",
    "floor /\nnoise": "0.00914",
    "dead": "7.31e-138",
    "found by": "quadrature",
    "policy": "binary, many",
    "answers": "independent",
}
TABLES = {
    "batches": wording.BATCH_COLUMNS,
    "policies": wording.POLICY_COLUMNS,
    "several rewards": of_vectors.ROW_POLICY_COLUMNS,
}


@pytest.mark.parametrize("table", TABLES)
def test_no_word_is_broken(table: str) -> None:
    columns = TABLES[table]
    numbers = [CELLS.get(name, "0.786") for name in columns]
    said = StringIO()
    made = Padding(terminal._table(columns, [numbers, numbers]), (0, 3))  # the panel's border and blanks
    Console(file=said, width=80).print(made)
    assert max(map(len, said.getvalue().splitlines())) <= 80
    words = said.getvalue().split()
    for text in (*columns, *numbers, *numbers):
        for word in text.split():
            assert word in words, f"{word} is broken in\n{said.getvalue()}"
            words.remove(word)
