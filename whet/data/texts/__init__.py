"""What is compared: canonical texts, their words, runs of words and digests. Finds nothing, joins nothing."""
