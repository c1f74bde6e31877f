"""Trainers of other projects on the advantages of the catalogue; each module needs its project installed."""
