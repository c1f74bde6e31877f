"""Weighted sums: of order statistics, of pass@k, and of rules of any kind by their names."""
