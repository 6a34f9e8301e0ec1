"""What a raw row means: the columns that mark a layout, and the record that follows. Opens no file.

Add a layout: write a function `(row, origin, think) -> record` in a file of its own, raise `BadRow` for what it cannot
take, and put it into LAYOUTS with the columns that mark it. `fields` has what rows are read with.
"""

from whet.data.layouts.alpaca import alpaca
from whet.data.layouts.conversations import messages, sharegpt
from whet.data.layouts.layout import Layout
from whet.data.layouts.preferences import openai_preference, preference
from whet.data.layouts.prompts import input_target, plain_text, prompt_completion, prompt_only
from whet.data.layouts.question_answer import question_answer
from whet.data.layouts.rankings import demonstration_with_ranking, ranking
from whet.data.layouts.trees import TREE_COLUMN, TREE_LAYOUT, message_of_a_tree, tree_records

__all__ = ["LAYOUTS"]

# The first layout whose columns are all there is taken, so the more specific ones stand first.
LAYOUTS: tuple[Layout, ...] = (
    Layout(
        name="demonstrations with rankings",
        columns=("prompt", "completion", "completions", "ranks"),
        read=demonstration_with_ranking,
    ),
    Layout(name="rankings", columns=("prompt", "completions", "ranks"), read=ranking),
    Layout(
        name="OpenAI preferences",
        columns=("input", "preferred_output", "non_preferred_output"),
        read=openai_preference,
    ),
    Layout(name="preferences", columns=("chosen", "rejected"), read=preference),
    Layout(name="prompt and completion", columns=("prompt", "completion"), read=prompt_completion),
    Layout(name="messages", columns=("messages",), read=messages),
    Layout(name="ShareGPT", columns=("conversations",), read=sharegpt),
    Layout(name="Alpaca", columns=("instruction", "output"), read=alpaca),
    Layout(name="question and answer", columns=("question", "answer"), read=question_answer),
    Layout(name="input and target", columns=("input", "target"), read=input_target),
    Layout(name=TREE_LAYOUT, columns=(TREE_COLUMN, "prompt"), read=tree_records),
    Layout(
        name="single messages of trees", columns=(TREE_COLUMN, "message_id", "text", "role"), read=message_of_a_tree
    ),
    Layout(name="prompts", columns=("prompt",), read=prompt_only),
    Layout(name="text", columns=("text",), read=plain_text),
)
