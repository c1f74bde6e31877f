"""What is claimed, as data: each claim next to the rows that decide it."""
