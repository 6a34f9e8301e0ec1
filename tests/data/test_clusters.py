"""Edges to clusters."""

from hypothesis import given
from hypothesis import strategies as st

from whet.data.clusters import join
from whet.data.duplicates import Edge


def edge(first: int, second: int, kind: str = "exact") -> Edge:
    return Edge(kind=kind, first=first, second=second, score=1.0, evidence="")


def test_chains_end_in_one_cluster_named_by_its_first_row() -> None:
    clusters = join(6, [edge(3, 4), edge(1, 4, "template"), edge(1, 3, "template")])
    assert clusters.of_row == (0, 1, 2, 1, 1, 5)
    assert clusters.members == {0: [0], 1: [1, 3, 4], 2: [2], 5: [5]}
    # the third edge found both its ends joined already
    assert clusters.edges == {"exact": 1, "shared_prompt": 0, "near": 0, "template": 1}


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)).filter(lambda pair: pair[0] < pair[1])))
def test_clusters_are_the_connected_components(pairs: list[tuple[int, int]]) -> None:
    clusters = join(20, [edge(*pair) for pair in pairs])
    reached = {row: {row} for row in range(20)}
    for _ in range(20):
        for a, b in pairs:
            reached[a] |= reached[b]
            reached[b] |= reached[a]
    assert clusters.of_row == tuple(min(reached[row]) for row in range(20))
    assert len(clusters.joins) == 20 - len(clusters.members)
