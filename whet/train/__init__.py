"""The update, checkpoints and guards, and the loops that use them. Opens training purposes only."""
