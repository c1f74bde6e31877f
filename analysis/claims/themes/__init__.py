"""The claims, one file a theme: its title and its claims."""
