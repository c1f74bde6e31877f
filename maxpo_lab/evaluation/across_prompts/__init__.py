"""Prompts as a sample: means, errors and intervals."""
