"""An evaluation of scripted models: every verdict, rate, pass@k and comparison worked by hand."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

from whet.core.errors import DataError
from whet.core.recipe import DataSettings, EvaluateSettings, TemplateSettings
from whet.core.records import Prompt, Rollout
from whet.core.runlog import Progress
from whet.core.seeds import seed_for
from whet.evaluation import run as evaluation
from whet.evaluation.metrics import mean_interval, wilson
from whet.evaluation.run import evaluate_stages, result_lines, summarise
from whet.evaluation.tasks.task import Task
from whet.rollout.sampling import SamplingSettings

SETTINGS = EvaluateSettings(
    max_completion_length=7, samples=3, pass_at=(1, 2), sample_prompts=2, temperature=0.6, confidence=0.9
)
RIGHT, WRONG, NOTHING, BROKEN = "<answer>7</answer>", "<answer>8</answer>", "I do not know", "broken"
# What each model says first, and then in three samples, to each prompt; the last sign is `|` where it was cut off. Of
# the slice `near` two prompts are sampled, `one` and `three`, the first by id.
SCRIPT: dict[str, dict[str, tuple[str, tuple[str, str, str]]]] = {
    "base": {
        "one": (RIGHT, (RIGHT, WRONG, WRONG)),
        "two": (WRONG, (RIGHT, RIGHT, RIGHT)),
        "three": (WRONG + "|", (WRONG, NOTHING, WRONG + "|")),
        "five": (NOTHING, (RIGHT, RIGHT + "|", WRONG)),
        "six": (BROKEN, (BROKEN, RIGHT, WRONG)),
        "four": (RIGHT, (WRONG, WRONG, WRONG)),
    },
    "sft": {
        "one": (RIGHT, (RIGHT, RIGHT, RIGHT)),
        "two": (RIGHT, (RIGHT, RIGHT, RIGHT)),
        "three": (WRONG, (WRONG, RIGHT, RIGHT)),
        "five": (NOTHING + "|", (BROKEN, BROKEN, BROKEN)),
        "six": (RIGHT, (BROKEN, BROKEN, RIGHT)),
        "four": (WRONG, (RIGHT, RIGHT, RIGHT)),
    },
}


# Prompts that a model's chat template refuses, and what stands for a completion that there was no room for.
REFUSED: dict[str, str] = {}
NO_ROOM = "(no room)"


def verifier(completion: str, *, answer: str, **row: Any) -> float:
    if completion == BROKEN:
        raise ValueError("no grade today")
    return float(completion == f"<answer>{answer}</answer>")


class ScriptedSampler:
    """In the place of the real one; its model is the name of a stage."""

    asked: ClassVar[list[tuple[str, SamplingSettings, list[int]]]] = []

    def __init__(self, model: str, template: SimpleNamespace) -> None:
        assert template.name == f"template of {model}"
        self.script = SCRIPT[model]
        self.model = model
        self.told = f"{model}, as scripted"

    def sample(
        self,
        prompts: Sequence[Prompt],
        *,
        samples: int,
        settings: SamplingSettings,
        seeds: Sequence[int],
        tick: Callable[[int], None],
    ) -> list[Rollout]:
        self.asked.append((self.model, settings, list(seeds)))
        assert len(seeds) == len(prompts) * samples
        rollouts = []
        for prompt in prompts:
            first, others = self.script[prompt.text]
            for sample, text in enumerate((first,) if settings.temperature == 0 else others):
                rollouts.append(
                    Rollout(
                        prompt=prompt,
                        sample=sample,
                        prompt_ids=(1,),
                        completion_ids=(5,) * len(text),
                        logprobs=(-1.0,) * len(text),
                        text=text.removesuffix("|"),
                        finish="no_room" if text == NO_ROOM else "length" if text.endswith("|") else "stop",
                    )
                )
        tick(len(rollouts))
        return rollouts


@pytest.fixture
def evaluate(
    tmp_path: Path, make_prompt: Callable[..., Prompt], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """Run the stage on scripted models and read its results."""

    def prompts(slice_: str, *texts: str) -> tuple[Prompt, ...]:
        return tuple(make_prompt(text, answer="7", slice=slice_) for text in texts)

    tasks = [
        Task(purpose="final", prompts=prompts("near", "one", "two", "three") + prompts("far", "five", "six")),
        Task(purpose="ft_test", prompts=prompts("near", "four")),
    ]
    loaded: list[str] = []

    def load(model: str, *, device: torch.device) -> SimpleNamespace:
        loaded.append(model)
        words = SimpleNamespace(name=f"template of {model}", refusal=lambda prompt: REFUSED.get(prompt.text))
        return SimpleNamespace(model=model, template=lambda settings: words)

    monkeypatch.setattr("whet.evaluation.verdicts.BY_RULE", (verifier,))
    monkeypatch.setattr(evaluation, "tasks_to_ask", lambda data_dir, reward, verifier, judges_pairs: tasks)
    monkeypatch.setattr(evaluation, "load_model", load)
    monkeypatch.setattr(evaluation, "Sampler", ScriptedSampler)
    monkeypatch.setattr(evaluation, "manifest_hash", lambda data_dir: "hash")
    monkeypatch.setattr(ScriptedSampler, "asked", [])

    def call() -> dict[str, Any]:
        summary = evaluate_stages(
            tmp_path / "data",
            {"base": "base", "sft": "sft"},
            SETTINGS,
            verifier=verifier,
            data=DataSettings(),
            template=TemplateSettings(),
            seed=5,
            out=tmp_path / "out",
            reward_model=None,
            device=torch.device("cpu"),
            progress=Progress(quiet=True),
        )
        results = json.loads((tmp_path / "out" / "results.json").read_text())
        return {"summary": summary, "results": results, "loaded": list(loaded), "out": tmp_path / "out"}

    return call


def test_verdicts_and_rates_by_hand(evaluate: Callable[..., dict[str, Any]]) -> None:
    found = evaluate()
    stages = found["results"]["stages"]
    assert found["summary"] == {"prompts": 6, "stages": ["base", "sft"]}
    assert list(stages["base"]) == ["far", "final", "ft_test", "near"]
    # base on `final`: one right, two wrong, three cut off, five has no answer, six could not be judged: 1 of 4
    base = stages["base"]["final"]
    verdicts = ("correct", "wrong", "truncated", "unparsed", "unscorable")
    assert [base[verdict] for verdict in verdicts] == [1, 1, 1, 1, 1]
    assert (base["n"], base["accuracy"]) == (4, 0.25)
    interval = wilson(1, 4, confidence=0.9)
    assert (base["low"], base["high"]) == (interval.low, interval.high)
    # lengths 18, 18, 19, 13 and 6
    assert base["mean_completion_length"] == pytest.approx(74 / 5)
    # sft: one, two and six right, three wrong, five cut off: 3 of 5; of `far` 1 of 2, of `near` 2 of 3
    sft = stages["sft"]
    assert [sft["final"][verdict] for verdict in verdicts] == [3, 1, 1, 0, 0]
    assert [sft[name]["accuracy"] for name in ("final", "far", "near", "ft_test")] == [
        0.6,
        0.5,
        pytest.approx(2 / 3),
        0.0,
    ]
    assert [stages["base"][name]["n"] for name in ("far", "near", "ft_test")] == [1, 3, 1]


def test_pass_at_k_by_hand(evaluate: Callable[..., dict[str, Any]]) -> None:
    stages = evaluate()["results"]["stages"]
    # base: `one` 1 of 3, `three` 0 of 3, `five` 2 of 3 (a right answer that was cut off behind it is right), `six` 1 of
    # the 2 that were judged. pass@1: 1/3 0 2/3 1/2; pass@2: 1 - 1/3, 0, 1, 1.
    base = stages["base"]["final"]["pass_at"]
    assert base["1"]["value"] == pytest.approx(1.5 / 4)
    assert base["2"]["value"] == pytest.approx((2 / 3 + 0 + 1 + 1) / 4)
    interval = mean_interval([1 / 3, 0, 2 / 3, 1 / 2], confidence=0.9)
    assert (base["1"]["n"], base["1"]["low"], base["1"]["high"]) == (4, interval.low, interval.high)
    # sft: `one` 3 of 3, `three` 2 of 3, `five` was never judged, `six` 1 of 1, which says nothing of pass@2
    sft = stages["sft"]["final"]["pass_at"]
    assert (sft["1"]["n"], sft["1"]["value"]) == (3, pytest.approx((1 + 2 / 3 + 1) / 3))
    assert (sft["2"]["n"], sft["2"]["value"]) == (2, pytest.approx((1 + 1) / 2))
    # a set that is answered wrongly throughout has an interval all the same
    wrong = stages["base"]["ft_test"]["pass_at"]["1"]
    assert (wrong["value"], wrong["low"]) == (0.0, 0.0)
    assert wrong["high"] > 0.5


def test_prompts_that_cannot_be_asked_are_counted_apart(
    evaluate: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REFUSED, "two", "the chat template refuses it: no")
    monkeypatch.setitem(SCRIPT, "base", SCRIPT["base"] | {"three": (NO_ROOM, (NO_ROOM,) * 3)})
    found = evaluate()
    # base on `final`: one right, five has no answer, six could not be judged: 1 of 2; two and three were not asked
    base = found["results"]["stages"]["base"]["final"]
    assert (base["n"], base["accuracy"], base["unscorable"], base["unasked"]) == (2, 0.5, 1, 2)
    # of the samples `one` has 1 of 3, `five` 2 of 3, `six` 1 of 2; `three` none
    assert base["pass_at"]["1"]["n"] == 3
    lines = result_lines(found["results"])
    assert lines[0].endswith("; the verifier failed on 1 more; 2 could not be asked")
    items = [json.loads(line) for line in (found["out"] / "items.jsonl").read_text().splitlines()]
    why = {item["prompt"]: item["reason"] for item in items if item["verdict"] == "unasked" and item["stage"] == "base"}
    assert why == {
        "two": "the chat template refuses it: no",
        "three": "the prompt has 1 tokens, which leave no room in the model's context",
    }
    # sft was asked `three` and got it wrong; nobody compares it with a prompt that base was never asked
    pairs = {pair["on"]: pair["n"] for pair in found["results"]["comparisons"]}
    assert pairs["final"] == 2


def test_nothing_is_compared_where_nothing_could_be_asked(
    evaluate: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in SCRIPT["base"]:
        monkeypatch.setitem(REFUSED, text, "the chat template refuses it: no")
    with pytest.raises(DataError, match=r"none of the 6 prompts could be asked; the first: the chat template refuses"):
        evaluate()


def test_comparisons_by_hand(evaluate: Callable[..., dict[str, Any]]) -> None:
    results = evaluate()["results"]
    pairs = {pair["on"]: pair for pair in results["comparisons"]}
    # on `final` both were judged on one, two, three and five: `two` was won; on `far` that leaves `five`
    final = pairs["final"]
    assert (final["a"], final["b"], final["n"], final["wins"], final["losses"]) == ("base", "sft", 4, 1, 0)
    assert (final["difference"], final["p_value"]) == (0.25, 1.0)
    assert (pairs["far"]["n"], pairs["far"]["difference"]) == (1, 0.0)
    assert (pairs["ft_test"]["n"], pairs["ft_test"]["wins"], pairs["ft_test"]["losses"]) == (1, 0, 1)
    # Wilson at 90 %, z^2 = 2.70554: of 1 / 4 0.3509 -+ 0.2930, of 3 / 5 0.5649 -+ 0.2924
    base, sft, last = result_lines(results)
    assert base.startswith(" base:  25.0% of 4 unseen prompts (final), 90% interval 5.8% to 64.4%")
    assert base.endswith("; the verifier failed on 1 more")
    assert sft == "  sft:  60.0% of 5 unseen prompts (final), 90% interval 27.2% to 85.7%"
    # of 1 / 4 0.0579 to 0.6438, of 2 / 4 0.1824 to 0.8176, phi 0: 0.25 - sqrt(0.3176^2 + 0.3938^2) and
    # 0.25 + sqrt(0.3176^2 + 0.1921^2)
    assert last == "base -> sft: +25.0 points, 90% interval -25.6 to +62.1; 1 won, 0 lost, p = 1"


def test_how_the_models_are_asked(evaluate: Callable[..., dict[str, Any]], make_prompt: Callable[..., Prompt]) -> None:
    evaluate()
    greedy = SamplingSettings(temperature=0, max_completion_length=7)
    sampled = SamplingSettings(temperature=0.6, max_completion_length=7)
    assert [(model, settings, len(seeds)) for model, settings, seeds in ScriptedSampler.asked] == [
        (model, settings, count)
        for model in ("base", "sft")
        for settings, count in ((greedy, 5), (sampled, 12), (greedy, 1), (sampled, 3))
    ]
    # each sample's randomness is its own, the same for every stage
    four = make_prompt("four", answer="7").id
    assert ScriptedSampler.asked[3][2] == [seed_for(5, "evaluate", four, sample) for sample in range(3)]
    assert ScriptedSampler.asked[3][2] == ScriptedSampler.asked[7][2]


def test_items_keep_what_was_said_and_a_finished_stage_is_not_asked_again(
    evaluate: Callable[..., dict[str, Any]],
) -> None:
    found = evaluate()
    items = [json.loads(line) for line in (found["out"] / "items.jsonl").read_text().splitlines()]
    told = {(item["stage"], item["prompt"]): item for item in items}
    assert len(items) == len(told) == 12
    assert told["base", "three"]["verdict"] == "truncated"
    assert told["base", "three"]["text"] == WRONG
    assert (told["base", "five"]["samples"], told["base", "five"]["samples_correct"]) == (3, 2)
    assert (told["base", "two"]["samples"], told["base", "two"]["samples_correct"]) == (0, None)
    assert (told["sft", "six"]["samples"], told["sft", "six"]["samples_correct"]) == (1, 1)
    assert [told["sft", prompt]["correct"] for prompt in ("one", "three", "five")] == [True, False, False]
    (found["out"] / "items" / "sft.jsonl").unlink()
    again = evaluate()
    assert found["loaded"] == ["base", "sft"]
    assert again["loaded"] == ["base", "sft", "sft"]
    assert again["results"] == found["results"]


def test_a_verifier_that_fails_on_everything_is_told(
    evaluate: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCRIPT, "sft", dict.fromkeys(SCRIPT["sft"], (BROKEN, (BROKEN,) * 3)))
    results = evaluate()["results"]
    rate = results["stages"]["sft"]["final"]
    assert (rate["n"], rate["accuracy"], rate["low"], rate["unscorable"], rate["pass_at"]) == (0, None, None, 5, {})
    assert results["comparisons"] == []
    assert result_lines(results)[1:] == ["  sft: the verifier failed on all 5 unseen prompts (final)"]


def test_each_later_stage_is_compared_with_each_earlier_one() -> None:
    # base 0 of 2, sft 1 of 2, rl 2 of 2
    items = [
        {
            "stage": stage,
            "purpose": "final",
            "slice": "all",
            "prompt_id": prompt,
            "correct": right,
            "verdict": "correct" if right else "wrong",
            "tokens": 3,
            "samples": 0,
            "samples_correct": None,
        }
        for stage, rights in (("base", (False, False)), ("sft", (True, False)), ("rl", (True, True)))
        for prompt, right in zip("pq", rights, strict=True)
    ]
    found = summarise(items, ["base", "sft", "rl"], SETTINGS)["comparisons"]
    told = [(pair["a"], pair["b"], pair["on"], pair["difference"]) for pair in found]
    assert told == [("base", "sft", "final", 0.5), ("sft", "rl", "final", 0.5), ("base", "rl", "final", 1.0)]
    # what is told last is the last stage against the one before it, without SFT against the base
    two = summarise([item for item in items if item["stage"] != "sft"], ["base", "rl"], SETTINGS)
    lines = result_lines({**two, "confidence": 0.9})
    assert lines[-1].startswith("base -> rl: +100.0 points, 90% interval ")
