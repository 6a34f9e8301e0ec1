from whet.tokens.batches import Row, Segment, TokenGroup, flat_batch, micro_batches


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


def test_segments_are_a_prompt_and_its_completions_or_both_in_one() -> None:
    batch = flat_batch([group((10, 11), (20, 21, 22), (30,)), group((40,), (50, 51))])
    assert batch.segments == (
        Segment(at=0, length=2),
        Segment(at=2, length=3, prompt_at=0, prompt_length=2),
        Segment(at=5, length=1, prompt_at=0, prompt_length=2),
        Segment(at=6, length=3),  # one completion: nothing is shared, so it goes with its prompt
    )
    assert batch.rows == (
        Row(prompt_at=0, prompt_length=2, at=2, length=3),
        Row(prompt_at=0, prompt_length=2, at=5, length=1),
        Row(prompt_at=6, prompt_length=1, at=7, length=2),
    )


def test_values_are_laid_out_where_their_tokens_are() -> None:
    masked = TokenGroup(prompt_ids=(1,), completions=((5, 6, 7),), loss_masks=((False, True, True),))
    batch = flat_batch([masked])
    assert batch.lay_out(batch.targets_A.float()).tolist() == [[0.0, 6.0, 7.0]]


def sizes(pieces: list[list[TokenGroup]]) -> list[list[list[int]]]:
    return [[[len(completion) for completion in group.completions] for group in piece] for piece in pieces]


def test_micro_batches_hold_what_fits_in_order() -> None:
    groups = [group((1,), (2,) * size) for size in (3, 4, 2, 20, 1)]
    pieces = micro_batches(groups, max_tokens=9)
    assert sizes(pieces) == [[[3], [4]], [[2]], [[20]], [[1]]]
    assert [g for piece in pieces for g in piece] == groups


def test_a_group_that_is_too_large_is_cut_by_completions() -> None:
    # prompt of 2; 2 + 3 + 4 = 9 fit into 10, 2 more would not; 12 does not fit alone and is a piece all the same
    large = group((1, 2), (3,) * 3, (3,) * 4, (3,) * 2, (3,) * 12, (3,))
    pieces = micro_batches([large, group((9,), (8,))], max_tokens=10, cuts_groups=True)
    assert sizes(pieces) == [[[3, 4]], [[2]], [[12]], [[1], [1]]]
    assert all(part.prompt_ids == (1, 2) for piece in pieces[:3] for part in piece)
    assert all(part.tokens <= 10 for piece in pieces for part in piece if part.completions[0] != (3,) * 12)
    assert sizes(micro_batches([large], max_tokens=10)) == [[[3, 4, 2, 12, 1]]]


def test_masks_go_with_their_completions_when_a_group_is_cut() -> None:
    masked = TokenGroup(prompt_ids=(1,), completions=((5, 6), (7, 8)), loss_masks=((True, False), (False, True)))
    pieces = micro_batches([masked], max_tokens=3, cuts_groups=True)
    assert [piece[0].loss_masks for piece in pieces] == [((True, False),), ((False, True),)]


def test_a_model_that_computes_a_prompt_for_each_completion_gets_less_at_once() -> None:
    # 4 + 2 tokens each: two completions are 8 tokens with a shared prompt, 12 without
    groups = [group((1,) * 4, (2,) * 2, (3,) * 2)]
    assert sizes(micro_batches(groups, max_tokens=8, cuts_groups=True)) == [[[2, 2]]]
    cut = micro_batches(groups, max_tokens=8, cuts_groups=True, repeats_prompts=True)
    assert sizes(cut) == [[[2]], [[2]]]
