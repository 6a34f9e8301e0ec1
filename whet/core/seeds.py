"""One seed for a run; every other random number follows from it by name, so nothing has to be replayed on resume."""

import hashlib

__all__ = ["seed_for"]


def seed_for(root: int, purpose: str, *coordinates: int | str) -> int:
    """A 63-bit seed, a pure function of the run's seed, a purpose such as `"rollout"`, and coordinates (step, item).

    Stateless on purpose: the randomness of step 70 does not depend on whether steps 0 to 69 ran in this process,
    so a resume replays nothing and a single rollout can be made again alone.

    >>> seed_for(0, "order", 3) == seed_for(0, "order", 3) != seed_for(0, "order", 4)
    True
    """
    text = "\x1f".join([str(root), purpose, *(f"{type(item).__name__}:{item}" for item in coordinates)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
