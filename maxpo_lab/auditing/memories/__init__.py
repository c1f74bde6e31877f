"""What the audit says of rules with memory: as a rule of one group at each of several states."""
