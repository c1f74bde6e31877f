"""The studies of the laboratory, their runner, tables, figures and tracking."""

from importlib.util import find_spec

#: What the extras ``torch`` and ``lab`` bring, less W&B, without which a run is not tracked.
_NEEDED = (
    *("filelock", "gymnasium", "jinja2", "joblib", "markdown_it", "matplotlib"),
    *("pandas", "pyarrow", "seaborn", "tabulate", "threadpoolctl", "torch"),
)
if _missing := [package for package in _NEEDED if find_spec(package) is None]:
    raise ImportError(
        f"the studies need {', '.join(_missing)}: pip install -c constraints.txt -e '.[torch,lab]'"
    )
