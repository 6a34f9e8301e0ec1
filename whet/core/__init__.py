"""What everything else stands on: errors, files, seeds, the run log, records, the recipe.

No torch, and nothing of ours above it.
"""
