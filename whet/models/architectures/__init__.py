"""How the blocks of each architecture that the flat decoder knows differ, one file each. Computes no attention itself.

Add an architecture: write a class with the attributes and methods of `LlamaBlock` in a file of its own, and put it into
ARCHITECTURES. They are tried in turn on the loaded model's blocks, and the numbers decide: a forward that differs from
the model's own is not used.
"""

from collections.abc import Mapping

from whet.models.architectures.llama import LlamaBlock

__all__ = ["ARCHITECTURES"]

ARCHITECTURES: Mapping[str, type[LlamaBlock]] = {"llama": LlamaBlock}
