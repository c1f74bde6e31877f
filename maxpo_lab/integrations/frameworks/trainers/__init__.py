"""Frameworks that run a cluster: engines, workers, a controller."""
