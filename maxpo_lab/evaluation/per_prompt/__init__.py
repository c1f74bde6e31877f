"""Unbiased estimates of one prompt: of maxima, of successes, of majorities."""
