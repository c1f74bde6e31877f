"""Files of rewards: CSV, TSV, JSON lines and Parquet in, the same with an advantage column out."""

from .base import Columns, Ids, RewardFile, RewardFileError
from .cells import read_cells
from .reading import COMPRESSED, READERS, read

__all__ = ["COMPRESSED", "READERS", "Columns", "Ids", "RewardFile", "RewardFileError", "read", "read_cells"]
