"""What the audit says of rules of several rewards: which objective, in which order, of which rule."""
