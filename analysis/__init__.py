"""The studies of the laboratory, their runner, tables, figures and tracking."""
