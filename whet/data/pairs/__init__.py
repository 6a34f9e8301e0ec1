"""How pairs of similar texts are found, fast and verified: exact joins, MinHash, TF-IDF, rephrasing, sentence encoders.

Knows texts alone: what a pair means for rows and purposes is decided in `alike`.
"""
