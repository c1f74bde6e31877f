"""Rules of a batch: the groups of its prompts are coupled."""
