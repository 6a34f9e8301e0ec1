"""whet: from a base language model and data to a post-trained, evaluated model."""
