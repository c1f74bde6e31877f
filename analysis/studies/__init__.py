"""The studies: one folder per question."""

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ImportError("the studies need torch: pip install -c constraints.txt -e '.[torch,lab]'")
