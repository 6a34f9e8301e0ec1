"""What finished runs did with a row, or with a near copy of it: trained on in which step, scored how.

From the files of runs alone. Loads no model.
"""
