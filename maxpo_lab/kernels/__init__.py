"""Fast evaluation of rank-linear rules: a reference on any array library, and tables for a device."""
