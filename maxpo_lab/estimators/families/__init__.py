"""The rules of the catalogue: one family, one file."""
