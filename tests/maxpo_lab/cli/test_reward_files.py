"""Files of rewards: written back as they were but for one column; what is wrong in them named by its row."""

from __future__ import annotations

import csv
import json
import os
import threading
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import maxpo_lab as ml
from maxpo_lab.cli import app
from maxpo_lab.cli.reward_files import Columns, RewardFileError, read

#: Advantages of [1, 0, 0.25] at K = 2.
A, B, C = (repr(float(value)) for value in ml.advantages([1.0, 0.0, 0.25], 2))


def run(*arguments: object) -> tuple[int, bytes, str]:
    done = CliRunner().invoke(app, ["advantages", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout_bytes, " ".join(done.stderr.replace("│", " ").split())


def refusal(path: Path, group: str | None = "group") -> str:
    with pytest.raises(RewardFileError) as raised:
        read(path, Columns("reward", group))
    return str(raised.value)


LONG = "z" * 140_000
CSV = f'\ufeffgroup,note,reward\r\n1,"a\r\nb",True\r\n\r\n1,\u2028\x0b\x85,FALSE\r1,"{LONG}, """,0.25'
CSV_OUT = (
    f'\ufeffgroup,note,reward,"A,1"\r\n1,"a\r\nb",True,{A}\r\n\r\n1,\u2028\x0b\x85,FALSE,{B}\r'
    f'1,"{LONG}, """,0.25,{C}'
)
JSON = (
    '\ufeff{"group":"\\ud800","reward":1.00,"x":"\u2028\x85\\u00e9","n":' + "9" * 5000 + " }\r\n \n"
    '{"reward":false , "y": {"y": 1, "y": 1e999}, "group":"\\ud800"}\t\n{"group":"\\ud800","reward":0.25}'
)
JSON_OUT = (
    '\ufeff{"group":"\\ud800","reward":1.00,"x":"\u2028\x85\\u00e9","n":'
    + "9" * 5000
    + f', "A,1": {A} }}\r\n \n'
    f'{{"reward":false , "y": {{"y": 1, "y": 1e999}}, "group":"\\ud800", "A,1": {B}}}\t\n'
    f'{{"group":"\\ud800","reward":0.25, "A,1": {C}}}'
)


@pytest.mark.parametrize(("name", "text", "expected"), [("a.csv", CSV, CSV_OUT), ("a.jsonl", JSON, JSON_OUT)])
def test_all_else_of_a_text_stays_to_the_byte(tmp_path: Path, name: str, text: str, expected: str) -> None:
    path, limit = tmp_path / name, csv.field_size_limit()
    path.write_bytes(text.encode())
    status, out, said = run(path, "--k", 2, "--column", "A,1", "-o", "-")
    assert (status, out.decode()) == (0, expected), said
    status, *_ = run(path, "--k", 2, "--column", "A,1", "-o", path)  # onto itself
    assert (status, path.read_bytes().decode()) == (0, expected)
    assert csv.field_size_limit() == limit
    path.write_bytes(b'group,reward\na,"1\n')
    assert run(path, "--k", 2)[0] == 2
    assert csv.field_size_limit() == limit


def test_what_is_written_back_is_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(CSV.encode())
    run(path, "--k", 2, "--column", "A,1", "-o", path)
    limit = csv.field_size_limit(200_000)
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if row]
    csv.field_size_limit(limit)
    assert rows[0] == ["group", "note", "reward", "A,1"]
    assert [row[1] for row in rows[1:]] == ["a\r\nb", "\u2028\x0b\x85", f'{LONG}, "']
    assert [row[3] for row in rows[1:]] == [A, B, C]


def test_parquet_keeps_codecs_row_groups_types_and_metadata(tmp_path: Path) -> None:
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    ids = pa.array([2**64 - 1, 2**64 - 2, 2**64 - 1, 2**64 - 2], pa.uint64())
    columns = {"group": ids, "reward": [True, True, False, False], "s": [{"x": [1]}] * 4}
    table = pa.table(columns).replace_schema_metadata({"made by": "us"})
    codecs = {"group": "ZSTD", "reward": "GZIP", "s.x.list.element": "NONE"}
    pq.write_table(table, source, compression=codecs, row_group_size=3)
    assert run(source, "--k", 1, "-o", target)[0] == 0
    file = pq.ParquetFile(target)
    assert file.read().drop_columns("advantage").equals(pq.read_table(source), check_metadata=True)
    assert file.read()["advantage"].to_pylist() == [1.0, 1.0, -1.0, -1.0]
    parts = [file.metadata.row_group(place) for place in range(file.metadata.num_row_groups)]
    assert [part.num_rows for part in parts] == [3, 1]
    found = [parts[0].column(place).compression for place in range(4)]
    assert found == ["ZSTD", "GZIP", "UNCOMPRESSED", "GZIP"]
    status, out, _ = run(source, "--k", 1, "-o", "-")
    assert (status, out) == (0, target.read_bytes())


def test_ids_of_any_size_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    big = 10**400
    pairs = [
        (2**64, 2**64 + 1),
        (-(2**63) - 1, 2**64),
        (big, big + 1),
        ('"a\\u0000"', '"a"'),
        ("true", "false"),
    ]
    for one, other in [*pairs, ("7" * 5000, "7" * 4999 + "8")]:
        rows = [(one, 1), (other, 1), (one, 0), (other, 0)]
        path.write_text("".join(f'{{"group": {name}, "reward": {reward}}}\n' for name, reward in rows))
        status, out, said = run(path, "--k", 1)
        assert status == 0, said
        found = [json.loads(line.rpartition(b", ")[2].join([b"{", b""])) for line in out.splitlines()]
        assert [row["advantage"] for row in found] == [1, 1, -1, -1]


@pytest.mark.parametrize(
    ("name", "text", "fragments"),
    [
        ("a.csv", "group,reward\na,1\n,0\n \t,1\n", ["line 3: no group id in column 'group'", "line 4"]),
        ("a.csv", "group,reward\na,1\nnan,0\n NaN,1\n", ["line 3: no group id in column 'group'", "line 4"]),
        (
            "a.jsonl",
            '{"group":null,"reward":1}\n{"group":NaN,"reward":1}',
            ["line 1: no group id", "line 2: no"],
        ),
        ("a.jsonl", '{"group":"","reward":1}', ["line 1: no group id in column 'group'"]),
        (
            "a.jsonl",
            '{"group":1,"reward":1}\n{"group":"1","reward":1}\n{"group":true,"reward":1}',
            [
                "line 2: group id '1'",
                "is a text, the first, 1, an integer",
                "line 3",
                "a boolean",
                "one kind",
            ],
        ),
        ("a.jsonl", '{"group":1.0,"reward":1}', ["line 1: group id 1.0 in column 'group' is neither"]),
        (
            "a.jsonl",
            '{"group":[1],"reward":{"a":1}}',
            ["reward that is an object", "group id that is a list"],
        ),
        ("a.jsonl", '{"group":1,"reward":1' + "0" * 400 + "}", ["line 1", "1000", "infinite as a float64"]),
        ("a.jsonl", '{"group":1,"reward":' + "7" * 5000 + "}", ["7777...777", "infinite as a float64"]),
        ("a.csv", "group,reward\na,1e999\n", ["line 2: reward '1e999' is infinite as a float64"]),
        ("a.jsonl", '{"group":1,"reward":-Infinity}', ["line 1: reward -inf is infinite"]),
        (
            "a.jsonl",
            '{"group":1,"reward":1,"x":' + "[" * 9999 + "]" * 9999 + "}",
            ["line 1: brackets nested"],
        ),
        ("a.jsonl", '\n{"x":' * 9999, ["line 2: not JSON"]),
        ("a.jsonl", '{"group":1,"reward":1,"group":2}', ["line 1: the key 'group' twice"]),
        ("a.jsonl", '3\n"x"\n[1]\nnull', ["line 1", "a number, not", "a text", "a list", "line 4", "null"]),
        ("a.jsonl", '{"group":1,"score":1}', ["line 1: no 'reward' (--reward)"]),
        ("a.jsonl", '{"group":1,"reward":1}\n\ufeff{"group":1,"reward":1}', ["line 2: not JSON"]),
        ("a.csv", "group,reward\na,1_0\n", ["line 2: reward '1_0' is not a number"]),
        ("a.csv", "group,reward\na,yes\n", ["line 2: reward 'yes' is not a number"]),
        ("a.csv", 'group,reward\n"a\nb",1\n"c\nd",x\n', ["line 4: reward 'x'"]),
        ("a.csv", 'group,reward\na,"1\nb,2\n', ["line 2: unexpected end"]),
        ("a.csv", "group,reward\na,1,2\nb,x\n", ["line 2: 3 fields", "line 3: reward 'x'"]),
        ("a.csv", "group,reward\n", ["has no rows"]),
        ("a.jsonl", "\n \n", ["has no rows"]),
        ("a.csv", "\n\n", ["is empty", "header"]),
        ("a.csv.gz", "", [".csv", "decompress"]),
    ],
)
def test_what_is_wrong_is_named_by_its_row(
    tmp_path: Path, name: str, text: str, fragments: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    said = refusal(path)
    assert str(path) in said
    assert len(said) < 500
    for fragment in fragments:
        assert fragment in said


@pytest.mark.parametrize(
    ("data", "fragments"),
    [
        (b"group,reward\r\na,1\ra\xff,1\n", ["line 3", "byte 19", "0xff"]),
        (b"\xef\xbb\xbfgroup,reward\na,1\n\xed\xa0\x80,1\n", ["line 3", "byte 20", "0xed"]),
        ("group,reward\n".encode("utf-16"), ["UTF-16", "save it as UTF-8"]),
    ],
)
def test_bytes_that_are_not_utf8_are_named(tmp_path: Path, data: bytes, fragments: list[str]) -> None:
    for ending in (".csv", ".jsonl"):
        path = tmp_path / f"a{ending}"
        path.write_bytes(data)
        assert all(fragment in refusal(path) for fragment in fragments)


def test_parquet_cells_are_named_by_row(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    for ids, fragments in (
        ([1.0, None, float("nan")], ["row 1: group id 1.0", "row 2: no group id", "row 3: no group id"]),
        ([Decimal("1.5"), None, Decimal(1)], ["row 1: group id 1.5", "row 2", "row 3"]),
        ([[1], [2], None], ["row 1: group id that is a list", "row 3: no group id"]),
    ):
        pq.write_table(pa.table({"group": ids, "reward": [1, 0, 1]}), path)
        assert all(fragment in refusal(path) for fragment in fragments)
    pq.write_table(
        pa.table({"group": [Decimal(1)] * 3, "reward": [Decimal("0.5"), None, Decimal("1.0")]}), path
    )
    status, _, said = run(path, "--k", 1, "-o", "-")
    assert (status, "no reward in row 2; --missing omit" in said) == (2, True)
    (tmp_path / "folder.parquet").mkdir()
    assert "Is a directory" in refusal(tmp_path / "folder.parquet")


def test_parquet_cells_that_python_cannot_hold_are_named(tmp_path: Path) -> None:
    """Where ids and rewards are; elsewhere they stay as they are."""
    path, target = tmp_path / "a.parquet", tmp_path / "b.parquet"
    text = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff"))
    for cells, fragment in (
        (pa.array([10**8], pa.int32()).view(pa.date32()), "(date32[day]) cannot be read: date value out"),
        (text, "(string) cannot be read: 'utf-8' codec"),
        (pa.array([1], pa.timestamp("us", "No/Where")), "tz=No/Where]) cannot be read"),
        (pa.array([2**62], pa.duration("s")), "(duration[s]) cannot be read"),
    ):
        for column, other in (("group", "reward"), ("reward", "group")):
            pq.write_table(pa.table({column: cells, other: [1]}), path)
            assert f"{path}: column {column!r} " in refusal(path)
            assert fragment in refusal(path)
        pq.write_table(pa.table({"group": [1], "reward": [1], "note": cells}), path)
        assert run(path, "--k", 1, "--small-groups", "zero", "-o", target)[0] == 0
        assert pq.read_table(target)["note"].chunk(0).equals(cells)


def test_a_text_of_json_is_an_id_whatever_it_says(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"group":"nan","reward":1}\n{"group":"NaN","reward":0}\n')
    content = read(path, Columns("reward", "group"))
    assert content.rows.groups is not None
    assert content.rows.groups.ids == ["nan", "NaN"]


def test_missing_rewards_are_the_same_in_every_format(tmp_path: Path) -> None:
    texts = {
        ".csv": "group,reward\na,\na, \na,NaN\na,nan\na,1\na,0\n",
        ".jsonl": "".join(
            f'{{"group": "a", "reward": {each}}}\n' for each in ("null", '" "', "NaN", '"nan"', "1", '"0"')
        ),
    }
    expected = [np.nan] * 4 + [1.0, 0.0]
    for ending, text in texts.items():
        path = tmp_path / f"a{ending}"
        path.write_text(text)
        np.testing.assert_array_equal(read(path, Columns("reward", "group")).rows.rewards, expected)
        first = 2 if ending == ".csv" else 1
        _, _, said = run(path, "--k", 1)
        assert f"no reward in line {first}, {first + 1}, {first + 2}, {first + 3};" in said


def test_small_groups_are_named_by_id_and_line_in_the_words_of_the_command(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("group,reward\na,1\na,0\na,0\nlone,1\n")
    status, _, said = run(path, "--k", 2)
    assert status == 2
    assert "group lone (from line 5) has 1 scored rollouts" in said
    assert "--small-groups zero" in said
    path.write_text("reward\n1\n")
    status, _, said = run(path, "--k", 2, "--one-group")
    assert (status, "the file (from line 2) has 1 scored rollouts" in said) == (2, True)


def test_outputs_of_the_command(tmp_path: Path) -> None:
    path, link, fifo = tmp_path / "a.csv", tmp_path / "link.csv", tmp_path / "fifo"
    path.write_text("group,reward\na,1\na,0\n")
    expected = b"group,reward,advantage\na,1,1.0\na,0,-1.0\n"
    link.symlink_to("made.csv")
    os.mkfifo(fifo)
    piped: list[bytes] = []
    reader = threading.Thread(target=lambda: piped.append(fifo.read_bytes()), daemon=True)
    reader.start()
    assert [run(path, "--k", 1, "-o", each)[0] for each in (link, fifo, "/dev/null")] == [0, 0, 0]
    reader.join(timeout=10)
    assert [link.is_symlink(), (tmp_path / "made.csv").read_bytes(), *piped] == [True, expected, expected]
    for name in ("a.jsonl", "a.parquet", "a.csv.gz"):
        status, _, said = run(path, "--k", 1, "-o", tmp_path / name)
        assert (status, "end it in .csv" in said) == (2, True)
    lines = tmp_path / "a.ndjson"
    lines.write_text('{"group":1,"reward":1}\n{"group":1,"reward":0}\n')
    assert run(lines, "--k", 1, "-o", tmp_path / "out.jsonl")[0] == 0
