"""Sampling completions: how a token is drawn, and the batched decoding loop."""
