"""Rules that shape rewards or advantages: by a risk measure, sign, difficulty, selection or place."""
