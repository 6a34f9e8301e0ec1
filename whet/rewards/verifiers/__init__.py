"""Pure functions from a completion's text and its row to a number, one per file, a line each in REWARDS. No models."""
