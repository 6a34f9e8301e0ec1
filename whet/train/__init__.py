"""The three loops (SFT, reward model, policy), what they are fed, and their checkpoints. Opens training purposes only.

A loop is a list of named steps; what one step does lives in `step`, and evaluation and report are not to be seen here.
"""
