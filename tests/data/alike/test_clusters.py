"""Edges to clusters."""

from hypothesis import given
from hypothesis import strategies as st

from whet.data.alike.clusters import join
from whet.data.alike.views import VIEWS
from whet.data.alike.views.found import Found


def found(pairs: list[tuple[int, int]], kind: str = "exact") -> Found:
    return Found(kind=kind, pairs=[(*pair, 1.0) for pair in pairs], evidence=lambda *_: "")


def test_chains_end_in_one_cluster_named_by_its_first_row() -> None:
    clusters = join(6, [found([(3, 4)]), found([(1, 4), (1, 3)], "template")])
    assert clusters.of_row == (0, 1, 2, 1, 1, 5)
    assert clusters.members == {0: [0], 1: [1, 3, 4], 2: [2], 5: [5]}
    # the third pair found both its ends joined already
    assert {kind: count for kind, count in clusters.edges.items() if count} == {"exact": 1, "template": 1}
    assert list(clusters.edges) == list(VIEWS)
    assert clusters.views["template"]["pairs"] == 2


def test_a_chain_and_a_star_say_how_they_hang_together() -> None:
    # 0-1-2-3 is a chain of three edges, the weakest 0.71; 4 is the middle of a star of two
    chain = Found(kind="near", pairs=[(0, 1, 0.9), (1, 2, 0.71), (2, 3, 0.8)], evidence=lambda *_: "")
    clusters = join(8, [chain, found([(4, 5), (4, 6)], "template")])
    first, second = clusters.largest(5)
    assert (first.rows, first.longest_chain, first.lowest_score) == ([0, 1, 2, 3], 3, 0.71)
    assert (second.longest_chain, second.kinds) == (2, {"template": 2})


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)).filter(lambda pair: pair[0] < pair[1])))
def test_clusters_are_the_connected_components(pairs: list[tuple[int, int]]) -> None:
    clusters = join(20, [found(pairs)])
    reached = {row: {row} for row in range(20)}
    for _ in range(20):
        for a, b in pairs:
            reached[a] |= reached[b]
            reached[b] |= reached[a]
    assert clusters.of_row == tuple(min(reached[row]) for row in range(20))
    assert len(clusters.joins) == 20 - len(clusters.members)
