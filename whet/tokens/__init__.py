"""From messages to ids, and from ids to the flat batch with the one shift.

The only place where text becomes ids; loads no model.
"""
