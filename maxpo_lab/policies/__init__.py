"""A policy on one prompt, as exact moments and samplers know it."""
