"""The fused kernels as machine code of cards that need not be present: nothing spilled, nothing fused."""

from __future__ import annotations

import os
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from maxpo_lab.kernels import fused

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_spec("triton") is None, reason="Triton is an extra: make test-integrations"),
    pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter compiles nothing"),
]

ARGUMENTS = {"groups": "i32", "rules": "i32", "size": "i64"}


def ptx(kernel: Any, n: int, dtype: str, capability: int) -> str:
    """What Triton makes of a kernel for 16-byte aligned rewards: as ``fused`` launches it."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    depth = max(1, (n - 1).bit_length())
    constants = {"n": n, "rows": fused._TILE >> depth, "depth": depth}
    types = {
        "rewards": f"*{dtype}",
        "result": f"*{dtype}",
        **ARGUMENTS,
        **dict.fromkeys(constants, "constexpr"),
    }
    signature = {name: types.get(name, "*fp64") for name in kernel.arg_names}
    aligned = {
        (place,): [["tt.divisibility", 16]] for place, each in enumerate(signature.values()) if each[0] == "*"
    }
    source = ASTSource(
        kernel, signature, {(kernel.arg_names.index(k),): v for k, v in constants.items()}, aligned
    )
    options = {"num_warps": fused._WARPS, "num_stages": 1, "enable_fp_fusion": False}
    made: str = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options).asm["ptx"]
    return made


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize(
    ("kernel", "n", "dtype"),
    [
        ("from_lowest", 16, "fp32"),
        ("from_lowest", 128, "fp64"),
        ("from_zero", 24, "bf16"),
        ("from_zero", 128, "fp64"),
    ],
)
def test_it_fits_a_cards_registers(
    kernel: str, n: int, dtype: str, *, capability: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import triton

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    code = ptx(getattr(fused._kernels(), kernel), n, dtype, capability)
    # A fused multiplication would give tied rewards other bits, flushed subnormals other advantages.
    assert not re.search(r"\bfma\.|\.ftz", code)
    (tmp_path / "kernel.ptx").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [
            Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas",
            *("-v", "--fmad=false", f"--gpu-name=sm_{capability}{'a' * (capability == 90)}"),
            *(tmp_path / "kernel.ptx", "-o", tmp_path / "kernel.cubin"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads" in done.stderr
    used = re.search(r"Used (\d+) registers", done.stderr)
    assert used is not None
    # Four blocks of 128 threads share the 65536 registers of a multiprocessor.
    assert int(used[1]) <= 128
