"""Which purpose each cluster goes to: sizes, strata, times, pins, slices, exclusions. Writes no files."""
