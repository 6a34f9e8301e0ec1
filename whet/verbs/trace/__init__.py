"""Was this row, or a near copy of it, trained on, by which run, and what did it score? From the files of runs alone."""
