"""Where work happens that is larger than memory or one process. Knows arrays and records, nothing of what they say."""
