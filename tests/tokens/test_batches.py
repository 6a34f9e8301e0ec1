from whet.tokens.batches import TokenGroup, flat_batch, micro_batches


def group(prompt: tuple[int, ...], *completions: tuple[int, ...]) -> TokenGroup:
    return TokenGroup(
        prompt_ids=prompt, completions=completions, loss_masks=tuple((True,) * len(ids) for ids in completions)
    )


def test_the_picture_of_the_module() -> None:
    # [p p | a a a | b]: prompt 0-1, a 2-4, b 5; both completions continue at position 2
    batch = flat_batch([group((10, 11), (20, 21, 22), (30,))])
    assert batch.tokens_N.tolist() == [10, 11, 20, 21, 22, 30]
    assert batch.positions_N.tolist() == [0, 1, 2, 3, 4, 2]
    # the one shift: a's tokens are predicted at places 1, 2, 3 and b's at place 1, the prompt's last
    assert batch.asked_A.tolist() == [1, 2, 3, 1]
    assert batch.targets_A.tolist() == [20, 21, 22, 30]
    assert batch.mask_BT.tolist() == [[True, True, True], [True, False, False]]
    assert batch.last_B.tolist() == [4, 5]
    assert batch.groups == (2,)


def test_keys_are_the_prompt_and_the_own_tokens() -> None:
    segments = flat_batch([group((10, 11), (20, 21, 22), (30,)), group((40,), (50, 51))]).segments
    keys = [row[mask[-1]].tolist() for row, mask in zip(segments.key_index_SK, segments.mask_SQK, strict=True)]
    # segments: prompt, a, b, second prompt, its completion; the last real query sees all of its sequence
    assert keys[1] == [0, 1, 2, 3, 4]
    lengths = segments.mask_SQK.sum(-1).tolist()
    assert lengths[0][:2] == [1, 2]
    assert lengths[1][:3] == [3, 4, 5]
    assert lengths[2][0] == 3
    assert segments.key_index_SK[2][:3].tolist() == [0, 1, 5]
    assert segments.key_index_SK[4][:3].tolist() == [6, 7, 8]


def test_values_are_laid_out_where_their_tokens_are() -> None:
    masked = TokenGroup(prompt_ids=(1,), completions=((5, 6, 7),), loss_masks=((False, True, True),))
    batch = flat_batch([masked])
    assert batch.lay_out(batch.targets_A.float()).tolist() == [[0.0, 6.0, 7.0]]


def test_micro_batches_keep_groups_whole_and_in_order() -> None:
    groups = [group((1,), (2,) * size) for size in (3, 4, 2, 20, 1)]
    pieces = micro_batches(groups, max_tokens=9)
    assert [[len(g.completions[0]) for g in piece] for piece in pieces] == [[3, 4], [2], [20], [1]]
    assert [g for piece in pieces for g in piece] == groups
