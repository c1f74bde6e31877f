"""The studies: one folder per question."""
