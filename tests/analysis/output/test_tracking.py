"""Weights & Biases: what is logged, read back from the run's own file, and what every failure leaves."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import wandb
from PIL import Image
from wandb_files import read_items, read_records

from analysis.output import tracking, uploading, wandb_session
from analysis.output.tracking import Tracked
from analysis.run.curves import Curves

KEY = "0123456789" * 4
UNREACHABLE = "http://127.0.0.1:9"
MANIFEST = {"study": "variance", "seed": None, "dirty": False, "versions": {"wandb": "0", "torch": None}}
ROWS = pd.DataFrame(
    {
        "estimator": ["maxpo", "grpo", "pkpo-loo"],
        "n": [8, 16, 1024],
        "bias": [0.1 + 0.2, np.nan, np.inf],
        "unbiased": [True, False, True],
        "claimed": [np.True_, None, np.False_],
        "reason": [None, "k > n", ""],
        "k": pd.array([4, None, 2**40], dtype="Int64"),
    }
)
CELLS = [
    ["maxpo", 8, 0.1 + 0.2, True, True, None, 4],
    ["grpo", 16, None, False, None, "k > n", None],
    ["pkpo-loo", 1024, float("inf"), True, False, "", 2**40],
]


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, no settings and an empty home."""
    for name in os.environ:
        if name.startswith(("WANDB_", "XDG_")) or name in ("NETRC", "HTTP_PROXY", "http_proxy"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)


@pytest.fixture
def figures(tmp_path: Path) -> dict[str, Path]:
    paths = {name: tmp_path / f"{name}.png" for name in ("figure", "by_k")}
    for path, colour in zip(paths.values(), ("red", "blue"), strict=True):
        Image.new("RGB", (40, 30), colour).save(path)
    return paths


@pytest.fixture
def log(tmp_path: Path, figures: dict[str, Path]) -> Any:
    def log(**changes: Any) -> Tracked:
        given = {"preset": "smoke", "rows": ROWS, "figures": figures, "manifest": MANIFEST}
        return tracking.log_study("variance", **given | {"directory": tmp_path / "lab"} | changes)

    return log


@dataclass
class Run:
    """What a run's own file says was logged, with the files it names."""

    labels: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    history: dict[tuple[str, ...], Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    staged: list[Path] = field(default_factory=list)
    exit_code: int | None = None


def read_run(directory: Path) -> Run:
    run = Run()
    for record in read_records(directory):
        match record.WhichOneof("record_type"):
            case "run":
                names = ("project", "display_name", "run_group", "job_type")
                run.labels = {name: getattr(record.run, name) for name in names}
                config = read_items(record.run.config.update)
                run.config = {key: value for (key,), value in config.items() if key != "_wandb"}
            case "history":
                run.history |= read_items(record.history.item)
            case "files":
                for file in record.files.files:
                    run.files[file.path] = (directory / "files" / file.path).read_bytes()
            case "artifact":
                run.staged += [Path(entry.local_path) for entry in record.artifact.manifest.contents]
            case "exit":
                run.exit_code = record.exit.exit_code
    return run


def assert_complete(run: Run, figures: Mapping[str, Path]) -> None:
    """All of a study is in the run: rows cell by cell, figures and manifest byte by byte."""
    assert run.labels == {
        "project": "maxpo-lab",
        "display_name": "variance-smoke",
        "run_group": "variance",
        "job_type": "smoke",
    }
    table = json.loads(run.files[run.history["rows", "path"]])
    assert table["columns"] == list(ROWS.columns)
    assert table["data"] == CELLS
    for got, expected in zip(table["data"], CELLS, strict=True):  # 1 == True == 1.0, so types as well
        assert [type(cell) for cell in got] == [type(cell) for cell in expected]
    for name, path in figures.items():
        logged = run.files[run.history[f"figures/{name}", "path"]]
        assert hashlib.sha256(logged).hexdigest() == hashlib.sha256(path.read_bytes()).hexdigest()
        assert run.history[f"figures/{name}", "sha256"] == hashlib.sha256(logged).hexdigest()
    assert run.config == MANIFEST
    assert json.loads(run.files["manifest.json"]) == MANIFEST
    assert run.exit_code == 0


def assert_offline(tracked: Tracked, figures: Mapping[str, Path], *fragments: str) -> None:
    assert tracked.mode == "offline"
    assert tracked.directory is not None
    assert len(tracked.message.splitlines()) == 1
    upload = f"logged offline to {tracked.directory}; upload with `wandb sync {tracked.directory}`"
    for fragment in (upload, *fragments):
        assert fragment in tracked.message
    assert not list(tracked.directory.glob("*.synced")), "`wandb sync` would skip it"
    assert_complete(read_run(tracked.directory), figures)


def test_without_a_key_the_run_is_on_disk_and_the_message_says_so(
    log: Any, figures: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    environment = dict(os.environ)
    tracked = log()
    assert_offline(tracked, figures, "W&B: no API key, logged offline to ")
    assert tracked.directory.parent == tmp_path / "lab" / "wandb"
    assert capfd.readouterr() == ("", "")
    assert not list(Path.home().rglob("*")), "W&B wrote outside the directory"
    assert dict(os.environ) == environment


def test_user_settings_of_wandb_are_kept(log: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    (staged,) = read_run(log().directory).staged
    assert staged.is_relative_to(tmp_path / "data")


def test_long_records_are_whole(log: Any) -> None:
    manifest = {"notes": [f"line {i}" for i in range(10_000)]}
    assert read_run(log(manifest=manifest, figures={}).directory).config == manifest


@pytest.mark.parametrize(
    ("rows", "tables"),
    [
        (4, {"rows": 4}),  # as many as W&B shows of a table
        (5, {"rows/1": 4, "rows/2": 1}),
        (41, {f"rows/{number:02}": 4 for number in range(1, 11)} | {"rows/11": 1}),
    ],
)
def test_what_is_shown_of_the_rows_is_all_of_them(
    rows: int, tables: dict[str, int], log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb.Table, "MAX_ROWS", 4)
    run = read_run(log(rows=pd.DataFrame({"i": range(rows)}), figures={}).directory)
    shown = {key: json.loads(run.files[run.history[key, "path"]])["data"] for key in tables}
    assert {key: len(data) for key, data in shown.items()} == tables
    assert [cell for data in shown.values() for (cell,) in data] == [*range(rows)]
    assert {key[0] for key in run.history if key[1:] == ("path",)} == tables.keys()
    staged = [cell for path in sorted(run.staged) for (cell,) in json.loads(path.read_text())["data"]]
    assert sorted(staged) == [*range(rows)]


def test_wandb_still_shows_ten_thousand_rows(log: Any) -> None:
    rows = pd.DataFrame({"i": range(10_100)})
    run = read_run(log(rows=rows, figures={}).directory)
    shown = [json.loads(run.files[run.history[f"rows/{part}", "path"]])["data"] for part in (1, 2)]
    assert [len(data) for data in shown] == [10_000, 100]
    assert [cell for data in shown for (cell,) in data] == [*range(10_100)]


OF_ONE_RUN = {
    "WANDB_RUN_ID": "mine",
    "WANDB_NAME": "mine",
    "WANDB_RUN_GROUP": "mine",
    "WANDB_JOB_TYPE": "mine",
    "WANDB_PROJECT": "mine",
    "WANDB_RESUME": "must",
    "WANDB_SWEEP_ID": "mine",
    "WANDB_LAUNCH": "true",
    "WANDB_CONFIG": '{"mine": 1}',
    "WANDB_CONFIG_PATHS": "mine.yaml",
    "WANDB_DIR": "/dev/null/mine",
}


def test_what_the_environment_says_of_one_run_is_not_of_these(
    log: Any, figures: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OF_ONE_RUN.items():
        monkeypatch.setenv(name, value)
    environment = dict(os.environ)
    curves = [Curves(name, "seeds 0-1", {0: {"x": 1.0}}) for name in ("maxpo", "grpo")]
    tracked = log(mode="offline", curves=curves)
    assert dict(os.environ) == environment
    assert_complete(read_run(tracked.directory), figures)
    runs = [path.name for path in (tmp_path / "lab/wandb").glob("offline-run-*")]
    ids = {name.rpartition("-")[2] for name in runs}
    assert len(ids) == len(runs) == 3
    assert "mine" not in ids
    assert {*OF_ONE_RUN} <= {*wandb_session.OF_ONE_RUN}


@pytest.mark.parametrize(
    ("name", "value"), [("WANDB_RESUME_FROM", "mine?_step=1"), ("WANDB_FORK_FROM", "mine?_step=1")]
)
def test_nor_does_it_continue_another_run(
    name: str, value: str, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    run = next(record.run for record in read_records(log(figures={}).directory) if record.HasField("run"))
    assert run.run_id != "mine"
    assert not run.HasField("branch_point")


def test_tags_and_notes_of_the_environment_are_of_every_run(
    log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_TAGS", "one,two")
    monkeypatch.setenv("WANDB_NOTES", "a note")
    run = next(record.run for record in read_records(log(figures={}).directory) if record.HasField("run"))
    assert ([*run.tags], run.notes) == (["one", "two"], "a note")


@pytest.mark.parametrize("name", ["", "WANDB_DATA_DIR", "WANDB_CACHE_DIR"])
def test_a_folder_that_cannot_be_written_is_named(
    name: str, log: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    place = file / "below"
    if name:
        monkeypatch.setenv(name, str(place))
    tracked = log(**({} if name else {"directory": place}))
    said = f"{name}={place}" if name else str(place)
    why = f"PermissionError: {said} cannot be written, as {file} cannot: name another folder"
    assert tracked.message == f"W&B: nothing logged ({why})"
    assert (tracked.mode, tracked.directory) == ("disabled", None)
    assert capfd.readouterr() == ("", "")


def test_a_study_without_rows_and_figures(log: Any) -> None:
    run = read_run(log(rows=ROWS.head(0), figures={}).directory)
    assert json.loads(run.files[run.history["rows", "path"]]) == {"columns": list(ROWS.columns), "data": []}


def test_disabled_writes_nothing(log: Any, tmp_path: Path) -> None:
    assert log(mode="disabled") == Tracked("disabled", "W&B: disabled, nothing logged", None)
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize("value", ["disabled", "offline", "dryrun"])
def test_wandb_mode_decides_where_no_mode_is_given(
    value: str, log: Any, figures: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", value)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    tracked = log()
    if value == "disabled":
        assert tracked == Tracked("disabled", "W&B: disabled by W&B's settings, nothing logged", None)
        assert not (tmp_path / "lab").exists()
    else:
        assert_offline(tracked, figures, "W&B: logged offline to ")


def test_without_wandb_the_message_says_how_to_install(
    log: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    tracked = log(mode="online")
    assert (tracked.mode, tracked.directory) == ("disabled", None)
    for fragment in ("wandb is not installed", "nothing logged", "pip install 'maxpo-lab[lab]'"):
        assert fragment in tracked.message
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"figures": {"figure": Path("missing.png")}}, "missing.png"),
        ({"manifest": {"seed": np.int64(1)}}, "not JSON serializable"),
        ({"rows": pd.DataFrame({"k": [1, "two"]})}, "incompatible types"),
    ],
    ids=["before the run", "in the run", "in the table"],
)
def test_a_failure_on_disk_names_its_reason(
    changes: dict[str, Any], reason: str, log: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    tracked = log(mode="offline", **changes)
    assert (tracked.mode, tracked.directory) == ("disabled", None)
    assert tracked.message.startswith("W&B: nothing logged (")
    assert reason in tracked.message
    assert len(tracked.message.splitlines()) == 1
    assert capfd.readouterr() == ("", "")
    assert wandb.run is None


def test_wandb_cannot_end_the_process(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    teardown = wandb.teardown

    def crash() -> None:
        teardown()
        sys.exit(2)

    monkeypatch.setattr(wandb, "teardown", crash)
    assert log(mode="offline") == Tracked("disabled", "W&B: nothing logged (SystemExit: 2)", None)


CRASH = """
import os, signal, subprocess, sys, wandb, pandas
from pathlib import Path
from analysis.output.tracking import log_study

def crash(*_, **__):
    found = subprocess.run(["pgrep", "-P", str(os.getpid()), "wandb-core"], stdout=-1, check=True)
    os.kill(int(found.stdout), signal.SIGKILL)

log, wandb.Run.log = wandb.Run.log, crash
for _ in range(2):
    given = {"rows": pandas.DataFrame({"k": [1]}), "figures": {}, "manifest": {}}
    print(log_study("variance", preset="smoke", directory=Path(sys.argv[1]), **given).message)
    wandb.Run.log = log
"""


@pytest.mark.integration
def test_a_crash_of_wandbs_service_costs_one_run(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(tracking.__file__).parents[2])}
    command = [sys.executable, "-c", CRASH, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first.startswith("W&B: nothing logged (")
    assert second.startswith("W&B: no API key, logged offline to ")
    assert not done.stderr


def test_interruption_is_not_swallowed(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(wandb, "init", interrupt)
    with pytest.raises(KeyboardInterrupt):
        log(mode="offline")


# Uploads, against a server on the loopback address.


class Server(ThreadingHTTPServer):
    """As much of W&B's server as an upload needs, well or ill: it keeps what it was sent."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, ill: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.ill = ill
        self.runs: list[dict[str, Any]] = []
        self.uploads: dict[str, bytes] = {}

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        request = json.loads(body) if path == "/graphql" else {}
        operation, variables = request.get("operationName"), request.get("variables", {})
        if self.ill == "silent":
            time.sleep(60)
        if self.ill == "unauthorized" or (self.ill == "full" and operation != "UpsertBucket"):
            return (401 if self.ill == "unauthorized" else 403), {"errors": [{"message": self.ill}]}
        match operation:
            case "UpsertBucket":
                self.runs.append(variables)
                project = {"id": "p", "name": "maxpo-lab", "entity": {"id": "e", "name": "lab"}}
                bucket = {"id": "r", "name": variables["name"], "config": "{}", "project": project}
                return 200, {"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}}
            case "CreateArtifact":
                sequence = {"id": "s", "latestArtifact": {"id": "a", "versionIndex": 0}}
                artifact = {"id": "a", "state": "COMMITTED", "artifactSequence": sequence}
                return 200, {"data": {"createArtifact": {"artifact": artifact}}}
            case "CreateRunFiles":
                files = [{"name": name, "uploadUrl": f"{self.url}/{name}"} for name in variables["files"]]
                created = {"runID": "r", "uploadHeaders": [], "files": files}
                return 200, {"data": {"createRunFiles": created}}
            case None if not path.endswith("/file_stream"):
                self.uploads[path.removeprefix("/")] = body
        return 200, {"data": {}}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, answer = self.server.answer(self.path, body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST  # noqa: N815 - the names are http.server's

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server(getattr(request, "param", "")) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        host = server.url.removeprefix("http://")
        Path.home().joinpath(".netrc").write_text(f"machine {host} login user password {KEY}\n")
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("mode", "environment"),
    [
        (
            None,
            {"WANDB_RUN_ID": "mine", "WANDB_PROJECT": "mine", "WANDB_NAME": "mine", "WANDB_RESUME": "must"},
        ),
        pytest.param(
            "online",
            {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_QUIET": "true"},
            marks=pytest.mark.integration,
        ),
    ],
    ids=["a key is enough", "the argument decides"],
)
def test_online_uploads_all(
    *,
    mode: Any,
    environment: dict[str, str],
    log: Any,
    figures: dict[str, Path],
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    tracked = log(mode=mode)
    assert tracked.mode == "online", tracked.message
    name = server.runs[0]["name"]
    assert name != "mine"
    assert tracked.message == f"W&B: logged to {server.url}/lab/maxpo-lab/runs/{name}"
    run = read_run(tracked.directory)
    assert_complete(run, figures)
    assert {path: server.uploads[path] for path in run.files} == run.files
    sent = {name: server.runs[0][name] for name in ("project", "displayName", "groupName", "jobType")}
    assert list(sent.values()) == list(run.labels.values())
    assert not [path for path in server.uploads if "otel" in path], "telemetry"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("server", "reason"),
    [("unauthorized",) * 2, pytest.param("full", "Fatal", marks=pytest.mark.integration)],
    indirect=["server"],
)
def test_a_refused_upload_leaves_an_offline_run(
    server: Server, reason: str, log: Any, figures: dict[str, Path]
) -> None:
    assert_offline(log(), figures, "W&B: upload failed (", reason)


@pytest.mark.parametrize("server", ["silent"], indirect=True)
def test_a_silent_server_is_not_waited_for(
    server: Server, log: Any, figures: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "_UPLOAD_SECONDS", 2)
    start = time.perf_counter()
    tracked = log()
    assert time.perf_counter() - start < 10
    assert_offline(tracked, figures, "W&B: upload failed (not finished within 2 s)")


@pytest.mark.parametrize(
    ("mode", "key", "reason"),
    [
        (None, "short", "W&B: bad API key (WANDB_API_KEY invalid"),
        pytest.param(
            *("online", "short", "W&B: upload failed (WANDB_API_KEY invalid"), marks=pytest.mark.integration
        ),
        ("online", "", "W&B: upload failed (No API key configured"),
    ],
)
def test_a_key_that_cannot_be_used(
    *, mode: Any, key: str, reason: str, log: Any, figures: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", UNREACHABLE)
    monkeypatch.setenv("WANDB_API_KEY", key)
    assert_offline(log(mode=mode), figures, reason)
    assert not list(Path.home().rglob("*")), "W&B wrote outside the directory"


@pytest.mark.integration
@pytest.mark.parametrize("mode", [None, "online"])
def test_an_unreachable_network_leaves_an_offline_run(
    mode: Any, log: Any, figures: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", UNREACHABLE)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    start = time.perf_counter()
    tracked = log(mode=mode)
    assert time.perf_counter() - start < 20
    assert_offline(tracked, figures, "W&B: upload failed (", "connection refused")
