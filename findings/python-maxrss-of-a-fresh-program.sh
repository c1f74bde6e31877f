#!/usr/bin/env bash
# CPython 3.11 on Linux 6: getrusage(RUSAGE_SELF).ru_maxrss, read by a program that subprocess has just started,
# is at least the peak of the process that started it: the kernel carries the old peak over fork and exec. A benchmark
# that runs in "a process of its own" reports the memory of its harness; a bound on it holds alone and fails after
# other tests have run in the parent. /proc/self/status gives the program's own peak as VmHWM.
# Seen, with numpy 2.4.6: an interpreter that only imports NumPy has ru_maxrss of some 30 MB when a small process
# starts it, and more than 500 MB when one starts it that has touched, and freed, 512 MB; its VmHWM is some 30 MB twice.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import platform
import subprocess
import sys

import numpy as np

CHILD = """
import resource
import numpy
own = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, int(own.split()[1]) / 1e3)
"""


def started() -> tuple[float, float]:
    said = subprocess.run([sys.executable, "-c", CHILD], check=True, capture_output=True, text=True).stdout
    maxrss, high_water = map(float, said.split())
    return maxrss, high_water


small = started()
block = np.ones(64_000_000)
del block
large = started()
print(f"Python {platform.python_version()}, Linux {platform.release()}, numpy {np.__version__}")
print(f"started by a small process:          ru_maxrss {small[0]:.0f} MB, VmHWM {small[1]:.0f} MB")
print(f"started by one that had held 512 MB: ru_maxrss {large[0]:.0f} MB, VmHWM {large[1]:.0f} MB")
raise SystemExit(not (small[0] < 100 and large[0] > 500 and max(small[1], large[1]) < 100))
PYTHON
