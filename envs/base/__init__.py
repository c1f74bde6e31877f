"""What a specimen is."""
