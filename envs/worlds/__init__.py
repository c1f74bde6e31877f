"""Worlds of many decisions, small enough to be known exactly."""
