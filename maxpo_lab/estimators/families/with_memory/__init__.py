"""Rules that remember earlier steps."""
