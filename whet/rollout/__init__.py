"""Sampling completions: how a token is drawn, and the batched decoding loop.

Nothing is scored or trained here.
"""
