"""What rules are, by enumeration in rationals, sharing no line with them."""
