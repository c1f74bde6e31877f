"""Uploading a run of W&B from disk, in a process of its own, whose wait ends with a kill."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from .wandb_session import OF_ONE_RUN, defaults

#: An upload of one run that takes longer is given up.
_UPLOAD_SECONDS = 20


def upload(run: Path, directory: Path) -> str:
    """Upload a run on disk and return its URL; an OSError says why that failed."""
    environment = defaults(directory) | {k: v for k, v in os.environ.items() if k not in OF_ONE_RUN}
    environment |= {"WANDB_DIR": str(directory), "WANDB_SILENT": "false"}
    # Without this limit W&B retries without end and never says why.
    environment["WANDB__GRAPHQL_RETRY_MAX"] = "2"
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            [sys.executable, "-m", "wandb", "sync", str(run)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_UPLOAD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"not finished within {_UPLOAD_SECONDS} s") from error
    said = done.stdout + done.stderr
    url = re.search(r"https?://\S+/runs/\S+", said)
    errors = re.findall(r"^(?:wandb: ERROR|Error:|panic:) (?!Find detailed)(.+)", said, re.MULTILINE)
    marks = list(run.glob("*.wandb.synced"))
    if url and marks and not errors and done.returncode == 0:
        return url[0]
    # `wandb sync` exits with 0 on most errors, and marks as synced even a run whose files were refused.
    for mark in marks:
        mark.unlink()
    raise ConnectionError(errors[0] if errors else "W&B gave no reason")
