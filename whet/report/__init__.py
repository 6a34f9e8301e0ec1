"""Pictures of a run: figures that stand in a notebook, and one HTML file that holds them all."""
