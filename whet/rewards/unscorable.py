"""What a reward raises when it cannot judge: the completion is then unscorable, which is neither a 0 nor wrong."""

__all__ = ["Unscorable"]


class Unscorable(Exception):  # noqa: N818  (it is a verdict, not a mistake)
    """Raised by a reward on one completion; its text becomes the reason that is recorded and counted.

    `None` says that a reward does not apply to a row and leaves the sum to the other rewards; this says that it does
    apply and that nobody can tell how much the completion deserves.
    """
