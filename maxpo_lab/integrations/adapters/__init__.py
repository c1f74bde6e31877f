"""The catalogue in training frameworks: a file each, around one rule on their batches (``training_rule``).

A module named after a framework needs it installed, and refuses another than the one it was tested with.
"""
