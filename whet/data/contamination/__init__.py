"""Which rows also stand in a benchmark, by which rule, and a file without them. Assigns no purposes."""
