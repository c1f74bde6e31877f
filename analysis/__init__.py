"""The studies of the laboratory, their runner, tables, figures and tracking."""

from importlib.util import find_spec

#: What the extra ``lab`` brings, less W&B, without which a run is not tracked. Only the studies need torch.
_NEEDED = (
    *("filelock", "gymnasium", "jinja2", "joblib", "markdown_it", "matplotlib"),
    *("pandas", "pyarrow", "seaborn", "tabulate", "threadpoolctl"),
)
if _missing := [package for package in _NEEDED if find_spec(package) is None]:
    raise ImportError(
        f"the studies need {', '.join(_missing)}: pip install -c constraints.txt -e '.[torch,lab]'"
    )
