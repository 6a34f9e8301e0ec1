"""What lies in a model's folder: its name, its files, its sizes, read in plain Python before any library opens them.

Loads no weights and imports neither torch nor transformers.
"""
