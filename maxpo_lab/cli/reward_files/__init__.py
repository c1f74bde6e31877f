"""Files of rewards: CSV, TSV, JSON lines and Parquet in, the same with an advantage column out."""

from .base import Groups, RewardFile, RewardFileError
from .reading import COMPRESSED, READERS, read

__all__ = ["COMPRESSED", "READERS", "Groups", "RewardFile", "RewardFileError", "read"]
