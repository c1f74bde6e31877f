"""What an array is here: of any library that follows the Array API."""

from __future__ import annotations

from typing import Any

Array = Any


Namespace = Any
