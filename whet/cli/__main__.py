"""`python -m whet.cli`."""

from whet.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
