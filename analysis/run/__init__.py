"""Running studies: cells, engines, the store of what was measured."""
