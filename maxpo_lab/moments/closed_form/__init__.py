"""Moments of rank-linear rules in closed form: sums over pairs of thresholds, and no states."""
