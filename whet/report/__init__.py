"""Pictures of a run: figures that stand in a notebook, and one HTML file that holds them all.

Reads the run folder, nothing else: no stage's code is imported here, and nothing is computed that a file does not hold.
"""
