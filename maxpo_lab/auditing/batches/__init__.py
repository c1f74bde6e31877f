"""What the audit says of rules of a batch: how prompts meet, the bias at each P, and claims."""
