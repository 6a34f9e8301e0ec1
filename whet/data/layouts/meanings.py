"""Columns and keys that change what a row means, over the formats of the field: the table of what whet does with each.

    honoured   it is read, and the row becomes what it says
    refused    the row is refused with the reason, because its text alone would teach something else
    told       the row is taken, and counted: elsewhere this would change something, here it does not

Any other key of a turn is told too; any other column stays beside the row, for rewards, and is listed. With
`data.ignore` a person says that a column or key changes nothing. Where a name stands twice, its value or its layout
decides. `examine` looks rows over by this table. Sources: docs/data.md. Add a meaning: a line here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from whet.data.layouts.turns import LEARNED_KEYS, REASONING_KEYS

__all__ = ["COLUMNS", "TURN_KEYS", "Meaning", "is_there"]

_PICTURES = "pictures, sounds or films, without which the words mean something else; whet reads texts"
_TOOLS = "descriptions of tools that the prompt would hold; whet reads texts"
_ASKED = "a part of the question that nothing reads; join it to the prompt or question, such as"


def is_there(value: Any) -> bool:
    """Neither null nor empty."""
    return value is not None and value != "" and value != [] and value != {}


def _is_false(value: Any) -> bool:
    """A verdict "no" as tables and JSON write it."""
    return str(value).strip().casefold() in ("false", "0", "0.0")


def _is_no_verdict(value: Any) -> bool:
    return not _is_false(value) and str(value).strip().casefold() not in ("true", "1", "1.0")


def _is_not_users(value: Any) -> bool:
    return is_there(value) and str(value).casefold() not in ("user", "human")


def _is_true(value: Any) -> bool:
    return value is True


def _is_not_final(value: Any) -> bool:
    return is_there(value) and value != "final"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What one key, under all its names, does to a row when its value `applies`; `example` is such a value.

    `used_by` names who writes it; `what` is said of it to the user. What is `of_question` matters where a single text
    is asked, and not where a whole conversation is given; what is `of_imitated` completions not where two are compared.
    """

    names: tuple[str, ...]
    effect: Literal["honoured", "refused", "told"]
    what: str
    used_by: str
    example: Any
    applies: Callable[[Any], bool] = is_there
    of_question: bool = False
    of_imitated: bool = False


# Columns beside those that a layout reads.
COLUMNS: tuple[Meaning, ...] = (
    Meaning(
        names=("system", "system_prompt"),
        effect="honoured",
        what="the system turn, in front of every layout's prompt",
        used_by="LLaMA-Factory, Axolotl, ms-swift, OpenOrca",
        example="Be brief.",
    ),
    Meaning(
        names=("system", "system_prompt"),
        effect="told",
        what="a system turn beside a text that nobody is asked for",
        used_by="",
        example="Be brief.",
    ),
    Meaning(
        names=("label", "kto_tag"),
        effect="refused",
        what="false: a completion to avoid, not to imitate",
        used_by="TRL, LLaMA-Factory, Axolotl, ms-swift (KTO)",
        example=False,
        applies=_is_false,
        of_imitated=True,
    ),
    Meaning(
        names=("label", "kto_tag"),
        effect="told",
        what="neither true nor false, so it is no verdict on the completion",
        used_by="classification",
        example="positive",
        applies=_is_no_verdict,
    ),
    Meaning(
        names=("rejected_response", "rejected_messages"),
        effect="honoured",
        what="beside `messages`: the worse answer of a comparison",
        used_by="ms-swift",
        example="No.",
    ),
    Meaning(
        names=("rejected_response", "rejected_messages"),
        effect="refused",
        what="the worse answer of a comparison, which is read beside messages alone; name both sides in data.columns",
        used_by="own data",
        example="No.",
    ),
    Meaning(
        names=(
            *("image", "images", "video", "videos", "audio", "audios", "objects", "pixel_values"),
            *(f"rejected_{kind}" for kind in ("images", "videos", "audios", "objects")),
        ),
        effect="refused",
        what=_PICTURES,
        used_by="TRL, LLaMA-Factory, Axolotl, ms-swift, verl, OpenRLHF",
        example=["0.jpg"],
    ),
    Meaning(
        names=("tools", "functions", "rejected_tools"),
        effect="refused",
        what=_TOOLS,
        used_by="OpenAI, TRL, LLaMA-Factory, Axolotl, ms-swift, verl",
        example=[{"type": "function"}],
    ),
    Meaning(
        names=("options", "choices", "endings"),
        effect="refused",
        what=f'{_ASKED} data.columns: {{question: "{{question}}\\n{{options}}"}}',
        used_by="MMLU, ARC, AQuA, HellaSwag",
        example=["A) 1", "B) 2"],
        of_question=True,
    ),
    Meaning(
        names=("context", "contexts", "passage", "article", "paragraph", "document", "documents", "input"),
        effect="refused",
        what=f'{_ASKED} data.columns: {{question: "{{context}}\\n\\n{{question}}"}}',
        used_by="SQuAD, Dolly, DROP, Axolotl's context_qa",
        example="Rome lies on seven hills.",
        of_question=True,
    ),
    Meaning(
        names=("history",),
        effect="refused",
        what="earlier turns, which only Alpaca's rows have beside their prompt; write the row as messages",
        used_by="LLaMA-Factory, ms-swift",
        example=[["Hi", "Hello"]],
        of_question=True,
    ),
    Meaning(
        names=("mask",),
        effect="refused",
        what="other turns than the assistant's are to be learned; only answers are",
        used_by="NeMo, Megatron",
        example="Assistant",
        applies=_is_not_users,
    ),
    Meaning(
        names=("chosen", "rejected"),
        effect="refused",
        what="one side of a comparison without the other; say which column the other is, in data.columns",
        used_by="TRL",
        example="5",
    ),
    Meaning(
        names=("weight", "sample_weight", "loss_weight", "loss_scale"),
        effect="told",
        what="a weight, which is not applied: every row counts once",
        used_by="ms-swift, own data",
        example=0.5,
    ),
    Meaning(
        names=("score", "rating", "quality", "reward", "is_correct", "correctness"),
        effect="told",
        what="a grade of the row, by which nothing is chosen",
        used_by="HelpSteer, OpenR1-Math, own data",
        example=2,
    ),
    Meaning(
        names=("chat_template_kwargs", "enable_thinking", "add_generation_prompt"),
        effect="told",
        what="an argument for the chat template, which gets none from rows",
        used_by="TRL, verl, ms-swift",
        example={"enable_thinking": False},
    ),
    Meaning(
        names=("input_ids", "attention_mask", "prompt_ids", "completion_mask", "assistant_masks"),
        effect="told",
        what="tokens made by another program; the text is tokenised here",
        used_by="TRL, Axolotl",
        example=[1, 2],
    ),
    Meaning(
        names=("split",),
        effect="honoured",
        what="test, validation and the like: the row is held out, and is left out of training sources",
        used_by="own data",
        example="test",
    ),
)

# Keys of turns beside who speaks and what is said.
TURN_KEYS: tuple[Meaning, ...] = (
    Meaning(
        names=REASONING_KEYS,
        effect="honoured",
        what="in the last answer: `<think>`, the thoughts and `</think>` before its words",
        used_by="DeepSeek, Qwen, vLLM, Axolotl, gpt-oss (TRL)",
        example="3+2=5",
    ),
    Meaning(
        names=LEARNED_KEYS,
        effect="honoured",
        what="0 or false: the answer is context and not learned",
        used_by="OpenAI, Mistral (`weight`), Axolotl (`train`), ms-swift (`loss`)",
        example=0,
    ),
    Meaning(
        names=("tool_calls", "function_call"),
        effect="refused",
        what="a call of a tool; only texts are taken",
        used_by="OpenAI, TRL, Axolotl, ms-swift",
        example=[{"id": "1"}],
    ),
    Meaning(names=("tools", "functions"), effect="refused", what=_TOOLS, used_by="Hermes, own data", example=[{}, {}]),
    Meaning(
        names=("image", "images", "video", "videos", "audio", "audios"),
        effect="refused",
        what=_PICTURES,
        used_by="OpenAI (`audio`), own data",
        example=["0.jpg"],
    ),
    Meaning(
        names=("refusal",),
        effect="refused",
        what="a refusal in place of an answer",
        used_by="OpenAI",
        example="I cannot.",
    ),
    Meaning(
        names=("train_detail", "training_detail", "reasoning_training_detail"),
        effect="refused",
        what="parts of an answer that are not to be learned; an answer is learned whole or not at all",
        used_by="Axolotl",
        example=[{"begin_offset": 0, "end_offset": 1, "train": False}],
    ),
    Meaning(
        names=("mask", "loss_mask"),
        effect="refused",
        what="says that the turn is learned or that it is not, which of both nobody agrees on; write weight: 0 or 1",
        used_by="own data",
        example=True,
    ),
    Meaning(
        names=("channel",),
        effect="refused",
        what="a turn that is not for the user; write its thoughts as reasoning_content of the answer",
        used_by="gpt-oss (harmony)",
        example="analysis",
        applies=_is_not_final,
    ),
    Meaning(
        names=("prefix", "partial"),
        effect="refused",
        what="the beginning of an answer that is to be continued, not an answer",
        used_by="Mistral, DeepSeek, Moonshot",
        example=True,
        applies=_is_true,
    ),
    Meaning(
        names=("name", "tool_call_id"),
        effect="told",
        what="which no template is given",
        used_by="OpenAI",
        example="Ann",
    ),
)
