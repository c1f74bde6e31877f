"""Tiny language models as policies on ChainSum, exactly and in a trainer."""
