"""From raw rows to eight purposes that share nothing, with a manifest that proves it. No torch.

In front stand `prepare` (the flow), `manifest` (the purposes as files) and `out_folder`; each step has a room of its
own, and a room may use those that the import contract in pyproject.toml puts below it.
"""
