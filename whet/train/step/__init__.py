"""One optimizer step: the update, its optimizer and learning rate, the guards that watch it. Knows no stage's data."""
