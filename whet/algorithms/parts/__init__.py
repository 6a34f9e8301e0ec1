"""What several algorithms of the RL loop are put together from: ratios, KL terms, GAE, whitening, the critic's loss.

A file here is a formula that more than one paper uses; an algorithm with a name of its own stands one folder up.
"""
