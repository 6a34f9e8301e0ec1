"""Loading and saving models, the flat forward over their blocks, reward heads, the embedded base model.

Computes log-probabilities and scores; knows no loss, no optimizer and no data.
"""
