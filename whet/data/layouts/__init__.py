"""What a raw row means: the columns that mark a layout, the record that follows, and what else changes its meaning.

Add a layout: write a function `(row, origin, think) -> record` in a file of its own, raise `BadRow` for what it cannot
take, and put it into LAYOUTS with the columns that mark it. `fields` and `turns` have what rows are read with;
`meanings` has the table of columns and keys that change what a row means. Opens no file.
"""

from functools import partial

from whet.data.layouts.alpaca import alpaca
from whet.data.layouts.conversations import messages, messages_with_truth, sharegpt
from whet.data.layouts.judged import JUDGED_LAYOUTS
from whet.data.layouts.layout import Layout
from whet.data.layouts.preferences import (
    PROMPT_COLUMNS,
    SCORE_COLUMNS,
    messages_with_rejected,
    openai_preference,
    preference,
    preference_pairs,
)
from whet.data.layouts.prompts import input_target, plain_text, prompt_completion, prompt_only, prompt_with_truth
from whet.data.layouts.question_answer import question_answer
from whet.data.layouts.rankings import (
    demonstration_with_ranking,
    graded,
    holds_grades,
    ranking,
    scored,
    steps_with_labels,
)
from whet.data.layouts.trees import TREE_COLUMN, TREE_LAYOUT, message_of_a_tree, tree_records

__all__ = ["LAYOUTS"]

_ASKED = ("system", "system_prompt", "answer", "target")
_ALPACA = ("input", "history", *_ASKED)
_SCORES = tuple(name for names in SCORE_COLUMNS for name in names)
# Lists of completions that are objects with a grade each: the column that asks, and the column of the list.
_GRADED = (
    ("prompt", "answers"),
    ("prompt", "responses"),
    ("prompt", "completions"),
    ("question", "answers"),
    ("instruction", "completions"),
    ("context", "completions"),
)

# The first layout whose columns are all there is taken, so the more specific ones stand first.
LAYOUTS: tuple[Layout, ...] = (
    Layout(
        name="demonstrations with rankings",
        columns=("prompt", "completion", "completions", "ranks"),
        read=demonstration_with_ranking,
        reads=_ASKED,
        keeps=("completions", "ranks"),
    ),
    Layout(
        name="rankings",
        columns=("prompt", "completions", "ranks"),
        read=ranking,
        imitates=False,
        reads=("completion", *_ASKED),
    ),
    Layout(
        name="rankings by scores",
        columns=("prompt", "completions", "scores"),
        read=scored,
        imitates=False,
        reads=_ASKED,
    ),
    Layout(name="steps with labels", columns=("prompt", "completions", "labels"), read=steps_with_labels),
    *(
        Layout(
            name=f"graded {column} ({asks})",
            columns=(asks, column),
            read=partial(graded, asks=asks, column=column),
            reads=_ALPACA,
            fits=holds_grades(column),
            imitates=False,
        )
        for asks, column in _GRADED
    ),
    Layout(name="pairs of a prompt", columns=("prompt", "pairs"), read=preference_pairs, imitates=False, reads=_ASKED),
    Layout(
        name="OpenAI preferences",
        columns=("input", "preferred_output", "non_preferred_output"),
        read=openai_preference,
        imitates=False,
        reads=_ASKED,
    ),
    Layout(
        name="preferences",
        columns=("chosen", "rejected"),
        read=preference,
        imitates=False,
        reads=(*PROMPT_COLUMNS, "output", "history", "margin", *_SCORES, *_ASKED),
    ),
    *JUDGED_LAYOUTS,
    *(
        Layout(
            name="messages with a rejected answer",
            columns=("messages", rejected),
            read=messages_with_rejected,
            imitates=False,
            reads=("margin", *_ASKED),
        )
        for rejected in ("rejected_response", "rejected_messages")
    ),
    Layout(name="prompt and completion", columns=("prompt", "completion"), read=prompt_completion, reads=_ASKED),
    Layout(
        name="messages with a known answer",
        columns=("messages", "ground_truth"),
        read=messages_with_truth,
        reads=_ASKED,
        keeps=("ground_truth",),
    ),
    Layout(name="messages", columns=("messages",), read=messages, reads=_ASKED),
    Layout(name="ShareGPT", columns=("conversations",), read=sharegpt, reads=_ASKED),
    Layout(name="Alpaca", columns=("instruction", "output"), read=alpaca, reads=_ALPACA),
    Layout(
        name="question and answer",
        columns=("question", "answer"),
        read=question_answer,
        reads=("system", "system_prompt"),
    ),
    Layout(
        name="input and target",
        columns=("input", "target"),
        read=input_target,
        reads=("answer", "system", "system_prompt"),
    ),
    Layout(name=TREE_LAYOUT, columns=(TREE_COLUMN, "prompt"), read=tree_records, keeps=(TREE_COLUMN,), has_turns=False),
    Layout(
        name="single messages of trees",
        columns=(TREE_COLUMN, "message_id", "text", "role"),
        read=message_of_a_tree,
        has_turns=False,
    ),
    Layout(
        name="prompts with what is right (verl)",
        columns=("prompt", "reward_model"),
        read=prompt_with_truth,
        reads=_ASKED,
        keeps=("reward_model",),
    ),
    Layout(name="prompts", columns=("prompt",), read=prompt_only, reads=_ASKED),
    Layout(name="text", columns=("text",), read=plain_text),
)
