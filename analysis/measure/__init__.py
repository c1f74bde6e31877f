"""What studies measure on, and with which statistics."""
