"""Rules that look at earlier rewards of a group's prompt: pure functions, definitions, learned weights."""
