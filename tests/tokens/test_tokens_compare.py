from whet.models.tokenizer import load_tokenizer
from whet.tokens.compare import CutText, comparison_text, cut


def test_pieces_join_to_the_text_and_control_tokens_are_text() -> None:
    tokenizer = load_tokenizer("whet:tiny")
    found = cut("whet:tiny", tokenizer, "3+4 is 7")
    assert "".join(found.pieces) == "3+4 is 7"
    assert found.pieces[:3] == ("3", "+", "4")
    assert found.is_lossless
    assert found.vocabulary == len(tokenizer)
    spelled = cut("whet:tiny", tokenizer, tokenizer.eos_token)
    assert len(spelled.pieces) > 1


def test_fewest_first_and_changes_are_named() -> None:
    long = CutText(name="long", vocabulary=256, pieces=("a", "b", "\x1b", "\n"), is_lossless=False)
    short = CutText(name="s", vocabulary=50_000, pieces=("ab",), is_lossless=True)
    lines = comparison_text([long, short], "ab cd").splitlines()
    assert lines[1].split() == ["s", "50,000", "1", "0.50", "the", "same"]
    assert lines[2].split() == ["long", "256", "4", "2.00", "CHANGED"]
    assert lines[-1] == "long: a|b|\\x1b|\\n"
