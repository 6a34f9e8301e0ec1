"""From raw rows to eight purposes that share nothing, with a manifest that proves it. No torch."""
