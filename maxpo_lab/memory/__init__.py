"""What a training loop remembers of its prompts from step to step."""
