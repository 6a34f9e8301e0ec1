"""Which rows belong together, in the eyes of several views: every pair found has its kind, its score and its evidence.

Add a view: write a finder `(rows, settings, where) -> Found` in a file of its own and put it into VIEWS. A finder may
join each row to one other of its kind instead of naming every pair; the clusters come out the same. `where` is where
heavy steps run.
"""

from collections.abc import Iterator, Mapping

from whet.core.recipe import DataSettings
from whet.data.alike.views.found import Found, View
from whet.data.alike.views.near import near, stop
from whet.data.alike.views.paraphrase import paraphrase
from whet.data.alike.views.same import exact, group, shared_prompt
from whet.data.alike.views.template import template
from whet.data.space.where import HERE, Where
from whet.data.texts.row_texts import RowTexts

__all__ = ["VIEWS", "find"]

# From the narrowest view to the widest: an edge is counted where it first joins two clusters.
VIEWS: Mapping[str, View] = {
    "exact": exact,
    "shared_prompt": shared_prompt,
    "group": group,
    "near": near,
    "stop": stop,
    "template": template,
    "paraphrase": paraphrase,
}


def find(rows: RowTexts, settings: DataSettings, where: Where = HERE) -> Iterator[Found]:
    """What every view finds, in the order of VIEWS."""
    for finder in VIEWS.values():
        yield finder(rows, settings, where)
