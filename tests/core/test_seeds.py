from whet.core.seeds import seed_for


def test_a_seed_is_pure_and_every_coordinate_counts() -> None:
    base = seed_for(0, "rollout", 3, "abc", 1)
    assert base == seed_for(0, "rollout", 3, "abc", 1)
    others = [
        (1, "rollout", 3, "abc", 1),
        (0, "order", 3, "abc", 1),
        (0, "rollout", 4, "abc", 1),
        (0, "rollout", "3", "abc", 1),
    ]
    assert len({base, *(seed_for(*other) for other in others)}) == 5
    assert 0 <= base < 2**63
