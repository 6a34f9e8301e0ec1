"""From messages to ids, and from ids to the flat batch."""
