"""What is made of stored rows: results, figures, tables, runs in W&B."""
