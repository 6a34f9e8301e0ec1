"""What everything else stands on: errors, files, seeds, the run log, records. No torch, nothing of ours above it."""
