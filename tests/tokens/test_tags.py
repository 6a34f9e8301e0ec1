from whet.core.recipe import TemplateSettings
from whet.tokens.tags import Tags, tags_of


def test_settings_then_the_template_then_the_field() -> None:
    plain = Tags(thinking=("<think>", "</think>"), answer=("<answer>", "</answer>"))
    assert tags_of(TemplateSettings(), "") == plain
    assert tags_of(TemplateSettings(), "[THINK]") == plain
    found = tags_of(TemplateSettings(), "{{ '[THINK]' + m.reasoning + '[/THINK]<|START_RESPONSE|>' }}<|END_RESPONSE|>")
    assert found.thinking == ("[THINK]", "[/THINK]")
    assert found.answer == ("<|START_RESPONSE|>", "<|END_RESPONSE|>")
    said = tags_of(TemplateSettings(thinking=("<a>", "</a>")), "[THINK][/THINK]")
    assert said.thinking == ("<a>", "</a>")
    assert said.all == ("<a>", "</a>", "<answer>", "</answer>")
