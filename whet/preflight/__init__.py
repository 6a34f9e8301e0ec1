"""What is looked at before a run does anything: what its stages will read, and whether that is there and can be right.

Reads names, heads and sizes, never weights or whole data; imports no torch.
"""
