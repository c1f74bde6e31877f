#!/usr/bin/env bash
# wandb 0.31.0, offline: of a logged Table with more than 10,000 rows the run's own file (what the page of a
# synced run shows) holds the first 10,000, without a warning and with exit status 0. The artifact holds all.
# A table of one row a cell of a study is cut at its end: the largest group sizes, usually.
# Seen: 10000 of 10007 rows in files/media/table, nothing said on stderr.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q wandb==0.31.0
cd "$work"
cat > log.py <<'PYTHON'
import wandb

run = wandb.init(mode="offline", project="rows", dir=".", settings=wandb.Settings(console="off"))
run.log({"rows": wandb.Table(columns=["row"], data=[[row] for row in range(10_007)])})
run.finish()
PYTHON
WANDB_SILENT=false venv/bin/python log.py > said.txt 2>&1
venv/bin/python - <<'PYTHON'
import json
from pathlib import Path

import wandb

(table,) = Path("wandb").glob("offline-run-*/files/media/table/*.table.json")
kept = len(json.loads(table.read_text())["data"])
said = Path("said.txt").read_text().lower()
warned = any(word in said for word in ("truncat", "10000", "10,000", "max_rows"))
print(f"wandb {wandb.__version__}: {kept} of 10007 rows in {table.name.partition('_')[0]}, warned: {warned}")
raise SystemExit(not (kept == 10_000 and not warned))
PYTHON
