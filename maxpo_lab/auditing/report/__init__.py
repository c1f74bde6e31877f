"""What an audit found: as data, on the terminal, in Markdown, and as a test that fails."""
