"""Every file of the real data sets: understood rightly, or refused with the data.columns under which it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.core.records import Comparison, Conversation, Prompt, Rejected, prompt_in
from whet.data.sources.read import Source, read_sources

# File -> its layout, its rows, how many of them are refused.
UNDERSTOOD = {
    "gsm8k/train.jsonl.gz": ("question and answer", 7473, 0),
    "gsm8k/test.jsonl": ("question and answer", 1319, 0),
    "gsm8k/test_socratic.jsonl": ("question and answer", 1319, 0),
    "gsm_hard/gsmhardv2.jsonl.gz": ("input and target", 1319, 0),
    "mawps/mawpsaddsub.jsonl": ("input and target", 395, 0),
    "mawps/mawpsmultiarith.jsonl": ("input and target", 600, 0),
    "mawps/mawpssingleop.jsonl": ("input and target", 562, 0),
    "hh_harmless_base/test.jsonl.gz": ("preferences", 1735, 8),
    "instruction_data/instruction-data.json": ("Alpaca", 1100, 0),
    "instruction_data/instruction-data-with-preference.json": ("preferences", 1100, 6),
    "humaneval_rephrased/humaneval_python.jsonl": ("text", 164, 17),
    "ifeval/input_data.jsonl": ("prompts", 395, 0),
    "mt_bench_human/dataset.json": ("judged pairs (LLMBar)", 200, 0),
    "oasst_trees/en_100_tree.jsonl": ("conversation trees (OpenAssistant)", 100, 0),
    "pandalm/testset-v1.json": ("judged pairs (PandaLM)", 999, 59),
    "tulu_human_eval/eval_annotations_tulu_1.jsonl.gz": ("judged pairs (Tulu)", 1150, 6),
}
# File -> the advice in its error, the columns that make it of use, what then is read and how many rows are refused.
STATED: dict[str, tuple[str, Mapping[str, str], type[object], int]] = {
    "aqua/dev.json": (
        '{question: "{question}\\n{options}", answer: rationale}; nothing reads correct then',
        {"question": "{question}\n{options}", "answer": "rationale"},
        Conversation,
        0,
    ),
    "gsm8k/example_model_solutions.jsonl.gz": ("{answer: ground_truth}", {"answer": "ground_truth"}, Conversation, 0),
    "ifeval/responses_deepseek-llm-7b-chat.jsonl": ("{text: response}", {"text": "response"}, Conversation, 0),
    "mgsm/mgsm_de.tsv": ("{question: '1', answer: '2'}", {"question": "1", "answer": "2"}, Conversation, 0),
    "mgsm/mgsm_zh.tsv": ("{question: '1', answer: '2'}", {"input": "1", "target": "2"}, Prompt, 0),
    "mr_gsm8k/first_error_steps.jsonl": (
        "{answer: ground_truth_solution}; nothing reads ground_truth_answer, model_output_answer_correctness",
        {"prompt": "question", "completion": "ground_truth_solution", "answer": "ground_truth_answer"},
        Conversation,
        7,
    ),
    "model_written_evals/interest-in-math.jsonl": (
        "{prompt: question, chosen: answer_matching_behavior, rejected: answer_not_matching_behavior}",
        {"prompt": "question", "chosen": "answer_matching_behavior", "rejected": "answer_not_matching_behavior"},
        Comparison,
        0,
    ),
    "mt_bench/question.jsonl": ("such as data.columns", {"prompt": "turns[0]"}, Prompt, 39),
    "self_instruct/seed_tasks.jsonl": (
        "{prompt: instruction}; nothing reads id, instances, is_classification, name then",
        {"prompt": "{instruction}\n{instances[0].input?}", "completion": "instances[0].output"},
        Conversation,
        0,
    ),
    "tora_outputs/tora-code-34b_gsm8k.jsonl.gz": (
        "{answer: gt}; nothing reads code, gt_cot, idx, pred, report then",
        {"answer": "gt"},
        Conversation,
        0,
    ),
}


def read(path: Path, columns: Mapping[str, str]) -> Source:
    (source,) = read_sources(str(path), DataSettings(columns=columns), seed=0)
    return source


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_a_file_is_understood(shared_data: Path, name: str) -> None:
    layout, rows, refused = UNDERSTOOD[name]
    source = read(shared_data / name, {})
    assert (source.layout.name, source.rows, len(source.rejected)) == (layout, rows, refused)


@pytest.mark.parametrize("name", STATED)
def test_a_file_is_refused_with_advice_and_then_understood(shared_data: Path, name: str) -> None:
    advice, columns, kind, refused = STATED[name]
    with pytest.raises(DataError) as caught:
        read(shared_data / name, {})
    assert "data.columns" in str(caught.value)
    assert advice in str(caught.value)
    source = read(shared_data / name, columns)
    assert len(source.rejected) == refused
    assert {type(record) for record in source.records} == {kind}


def test_stated_columns_give_what_they_say(shared_data: Path) -> None:
    german = read(shared_data / "mgsm" / "mgsm_de.tsv", {"question": "1", "answer": "2"})
    first = german.records[0]
    assert prompt_in(first).text.startswith("Janets Enten legen 16 Eier")
    assert prompt_in(first).answer == "18"
    code = read(shared_data / "mbpp" / "mbpp_train.jsonl", {"prompt": "text", "completion": "code"}).records[0]
    assert isinstance(code, Conversation)
    assert code.completion.startswith("R = 3\r\nC = 3")


# File -> the column that may answer and is not read, columns under which it is of use.
ANSWERING: dict[str, tuple[str, Mapping[str, str]]] = {
    "humaneval/HumanEval.jsonl.gz": ("canonical_solution", {"completion": "canonical_solution"}),
    "humaneval/HumanEval_codegen16B_temp0.8_topp0.95_num100_max300_code_solution.jsonl.gz": (
        "samples",
        {"completion": "samples[0]"},
    ),
    "mbpp/mbpp_train.jsonl": ("code", {"prompt": "text", "completion": "code"}),
    "answer_pairs/gsm8k_extraction.jsonl": ("gold", {"prompt": "text", "answer": "gold"}),
}


@pytest.mark.parametrize("name", ANSWERING)
def test_rows_whose_answer_is_unread_are_refused_and_then_understood(shared_data: Path, name: str) -> None:
    column, columns = ANSWERING[name]
    source = read(shared_data / name, {})
    assert len(source.rejected) == source.rows
    assert {row.field for row in source.rejected} == {column}
    assert "data.columns" in source.rejected[0].reason
    assert "data.ignore" in source.rejected[0].reason
    assert len(read(shared_data / name, columns).records) > 0.95 * source.rows
    (ignored,) = read_sources(str(shared_data / name), DataSettings(ignore=_all_columns(source.rejected)), seed=0)
    assert len(ignored.records) > 0.95 * source.rows


def _all_columns(rejected: Sequence[Rejected]) -> tuple[str, ...]:
    return ("canonical_solution", "samples", "code", "gold", *(row.field or "" for row in rejected[:1]))


def test_ties_of_judges_are_left_out_and_told(shared_data: Path) -> None:
    votes = read(shared_data / "pandalm" / "testset-v1.json", {})
    assert len(votes.records) + len(votes.rejected) + len(votes.skipped) == 999
    assert {row.reason for row in votes.skipped} == {"a tie, or no majority: neither is better"}
    opinions = read(shared_data / "tulu_human_eval" / "eval_annotations_tulu_1.jsonl.gz", {})
    assert (len(opinions.records), len(opinions.skipped)) == (768, 376)
    assert {type(record) for record in (*votes.records, *opinions.records)} == {Comparison}


@pytest.mark.parametrize(
    "name",
    [
        "pandalm/gpt-3.5-turbo-testset-v1.json",
        "pandalm/pandalm-7b-testset-v1.json",
        "answer_pairs/pairs.jsonl",
        "answer_pairs/math500_pairs.jsonl",
        "best_of_n/math_cot_100.scores.jsonl",
    ],
)
def test_a_file_without_what_a_layout_needs_is_one_line(shared_data: Path, name: str) -> None:
    with pytest.raises(DataError, match="no known layout in its columns") as caught:
        read(shared_data / name, {})
    assert "\n" not in str(caught.value)
