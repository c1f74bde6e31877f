"""Ways to the sums of prompts that meet, or do not."""
