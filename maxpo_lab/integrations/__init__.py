"""How other projects call a rule (``conventions``), and their trainers on the advantages of the catalogue.

A module named after a project needs it installed.
"""
