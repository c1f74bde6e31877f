"""The studies: one folder a question."""
