"""Tiny language models as policies on sums of digits, exactly and in a trainer."""
