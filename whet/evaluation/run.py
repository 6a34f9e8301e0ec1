"""Base, SFT and RL on the same prompts: greedy accuracy, pass@k, paired comparisons, and the reward model's accuracy.

evaluation/
  items/<stage>.jsonl     every prompt with the completion and its verdict; a finished stage is not asked again
  items.jsonl             all of them, with the training row that a prompt resembles where `contamination` asks for it
  results.json            rates, intervals, comparisons
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from whet.core.files import read_json_lines, write_json, write_json_lines
from whet.core.recipe import DataSettings, EvaluateSettings, TemplateSettings
from whet.core.records import Prompt, Rollout
from whet.core.runlog import Progress
from whet.core.seeds import seed_for
from whet.data.manifest import manifest_hash
from whet.evaluation.asked import left_out_lines, require_judged, tasks_to_ask
from whet.evaluation.contamination import contamination_lines, mark_seen, rates_apart
from whet.evaluation.items import Item, is_judged, rate_of
from whet.evaluation.metrics import mean_interval, paired_difference, pass_at_k
from whet.evaluation.reward_model import judge_pairs
from whet.evaluation.tasks.task import Task
from whet.evaluation.verdicts import Judgement, Verdict, judgements_of
from whet.models.load import load_model
from whet.rollout.engine import Sampler
from whet.rollout.sampling import SamplingSettings

__all__ = ["evaluate_stages", "result_lines", "summarise"]


def evaluate_stages(
    data_dir: Path,
    models: Mapping[str, str | Path],
    settings: EvaluateSettings,
    *,
    verifier: Callable[..., Any],
    data: DataSettings,
    template: TemplateSettings,
    seed: int,
    out: Path,
    reward_model: Path | None,
    device: torch.device,
    progress: Progress,
) -> dict[str, Any]:
    """Evaluate every stage's model on every task, write `results.json` and `items.jsonl`, return a short summary.

    `data` says how the rows of `settings.contamination` are read.
    """
    tasks = tasks_to_ask(data_dir, settings.reward, verifier, judges_pairs=reward_model is not None)
    progress.say(*left_out_lines(tasks, verifier))
    left_out = {task.purpose: len(task.left_out) for task in tasks if task.left_out}
    tasks = [task for task in tasks if task.prompts]
    items: list[Item] = []
    for stage, model in models.items():
        path = out / "items" / f"{stage}.jsonl"
        if not path.exists():
            answered = _ask(
                stage, str(model), tasks, settings, verifier, template, seed=seed, device=device, progress=progress
            )
            require_judged([*items, *answered], settings.reward)
            write_json_lines(path, answered)
        items += read_json_lines(path)
    summary: dict[str, Any] = {}
    if settings.contamination:
        items, summary["contamination"] = mark_seen(items, tasks, settings.contamination, data, progress)
    write_json_lines(out / "items.jsonl", items)
    results = summarise(items, list(models), settings) | summary
    if reward_model is not None:
        results["reward_model"] = judge_pairs(
            reward_model, data_dir, template=template, device=device, confidence=settings.confidence
        )
    results |= {"left_out": left_out, "confidence": settings.confidence, "manifest": manifest_hash(data_dir)}
    write_json(out / "results.json", results)
    return {"prompts": len(items) // max(1, len(models)), "stages": list(models)}


def _ask(
    stage: str,
    model: str,
    tasks: Sequence[Task],
    settings: EvaluateSettings,
    verifier: Callable[..., Any],
    template: TemplateSettings,
    *,
    seed: int,
    device: torch.device,
    progress: Progress,
) -> list[Item]:
    """One greedy completion of every prompt, and `samples` random ones of the chosen prompts of each slice."""
    loaded = load_model(model, device=device)
    words = loaded.template(template)
    sampler = Sampler(loaded.model, words)
    progress.say(f"evaluate {stage}: {sampler.told}")
    items: list[Item] = []
    refused = {prompt.id: why for task in tasks for prompt in task.prompts if (why := words.refusal(prompt))}
    asked = {task.purpose: [prompt for prompt in task.prompts if prompt.id not in refused] for task in tasks}
    chosen = {purpose: _sampled_prompts(prompts, settings) for purpose, prompts in asked.items()}
    total = sum(len(prompts) + settings.samples * len(chosen[purpose]) for purpose, prompts in asked.items())
    with progress.bar(f"evaluate {stage}", total=total) as bar:
        for task in tasks:
            greedy = SamplingSettings(temperature=0, max_completion_length=settings.max_completion_length)
            rollouts = sampler.sample(
                asked[task.purpose],
                samples=1,
                settings=greedy,
                seeds=[0] * len(asked[task.purpose]),
                tick=lambda done: bar.advance(by=done),
            )
            sampled = _samples(sampler, chosen[task.purpose], verifier, settings, seed=seed, tick=bar)
            for rollout, judgement in zip(rollouts, judgements_of(verifier, rollouts), strict=True):
                counts = sampled.get(rollout.prompt.id)
                items.append(_item(stage, task, rollout.prompt, judgement, rollout=rollout, counts=counts))
            for prompt in task.prompts:
                if prompt.id in refused:
                    judgement = Judgement(verdict="unasked", reason=refused[prompt.id])
                    items.append(_item(stage, task, prompt, judgement, rollout=None, counts=None))
    return items


def _item(
    stage: str,
    task: Task,
    prompt: Prompt,
    judgement: Judgement,
    *,
    rollout: Rollout | None,
    counts: Counter[Verdict] | None,
) -> Item:
    """One line of `items.jsonl`; without a rollout the prompt was not asked."""
    return {
        "stage": stage,
        "purpose": task.purpose,
        "slice": prompt.slice,
        "prompt_id": prompt.id,
        "prompt": prompt.text,
        "answer": prompt.answer,
        "text": "" if rollout is None else rollout.text,
        "correct": judgement.verdict == "correct",
        "verdict": judgement.verdict,
        "reason": judgement.reason,
        "tokens": 0 if rollout is None else len(rollout.completion_ids),
        "samples": 0 if counts is None else counts.total() - counts["unscorable"] - counts["unasked"],
        "samples_correct": None if counts is None else counts["correct"],
    }


def _sampled_prompts(prompts: Sequence[Prompt], settings: EvaluateSettings) -> list[Prompt]:
    """The first `sample_prompts` of each slice, by id."""
    if not settings.samples:
        return []
    by_slice: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in sorted(prompts, key=lambda prompt: prompt.id):
        by_slice[prompt.slice].append(prompt)
    return [prompt for sliced in by_slice.values() for prompt in sliced[: settings.sample_prompts]]


def _samples(
    sampler: Sampler, prompts: Sequence[Prompt], verifier: Any, settings: EvaluateSettings, *, seed: int, tick: Any
) -> dict[str, Counter[Verdict]]:
    """The verdicts on each prompt's samples."""
    if not prompts:
        return {}
    rollouts = sampler.sample(
        prompts,
        samples=max(1, settings.samples),
        settings=SamplingSettings(
            temperature=settings.temperature, max_completion_length=settings.max_completion_length
        ),
        seeds=[
            seed_for(seed, "evaluate", prompt.id, sample) for prompt in prompts for sample in range(settings.samples)
        ],
        tick=lambda done: tick.advance(by=done),
    )
    counts: dict[str, Counter[Verdict]] = defaultdict(Counter)
    for rollout, judgement in zip(rollouts, judgements_of(verifier, rollouts), strict=True):
        counts[rollout.prompt.id][judgement.verdict] += 1
    return counts


def summarise(items: Sequence[Item], stages: Sequence[str], settings: EvaluateSettings) -> dict[str, Any]:
    """Rates for each stage and set, and each later stage compared with each earlier one on the same prompts.

    Sets are the slices of `final` by their own names, `final` as a whole, `ft_test` and `rl_test`. A completion that
    could not be judged is counted apart and is in no rate. Items that say whether their prompt was seen in training
    data also give `by_contamination`.
    """
    sets: dict[str, dict[str, dict[str, Item]]] = defaultdict(lambda: defaultdict(dict))
    for item in items:
        names = [item["purpose"]]
        if item["purpose"] == "final" and item["slice"] != "all":
            names.append(item["slice"])
        for name in names:
            sets[name][item["stage"]][item["prompt_id"]] = item
    rates = {
        stage: {name: _rates(list(by[stage].values()), settings) for name, by in sorted(sets.items())}
        for stage in stages
    }
    pairs = [*pairwise(stages), (stages[0], stages[-1])] if len(stages) > 2 else list(pairwise(stages))
    comparisons = [_compared(a, b, name, sets[name], settings.confidence) for name in sorted(sets) for a, b in pairs]
    return {"stages": rates, "comparisons": [found for found in comparisons if found is not None]}


def _rates(items: Sequence[Item], settings: EvaluateSettings) -> dict[str, Any]:
    counts: Counter[Verdict] = Counter(item["verdict"] for item in items)
    pass_at = {}
    for k in settings.pass_at:
        values = [pass_at_k(item["samples"], item["samples_correct"], k) for item in items if item["samples"] >= k]
        if values:
            interval = mean_interval(values, confidence=settings.confidence)
            pass_at[str(k)] = {"value": interval.value, "low": interval.low, "high": interval.high, "n": len(values)}
    apart = {}
    if all("contamination" in item for item in items):
        apart["by_contamination"] = rates_apart(items, confidence=settings.confidence)
    return {
        **rate_of(items, confidence=settings.confidence),
        "wrong": counts["wrong"],
        "unparsed": counts["unparsed"],
        "truncated": counts["truncated"],
        "unscorable": counts["unscorable"],
        "unasked": counts["unasked"],
        "mean_completion_length": sum(item["tokens"] for item in items) / len(items),
        "pass_at": pass_at,
        **apart,
    }


def _compared(
    a: str, b: str, on: str, by: Mapping[str, Mapping[str, Item]], confidence: float
) -> dict[str, Any] | None:
    """On the prompts on which both were judged; None when there are none."""
    ids = [id_ for id_ in sorted(by[a].keys() & by[b].keys()) if is_judged(by[a][id_]) and is_judged(by[b][id_])]
    if not ids:
        return None
    found = paired_difference(
        [by[a][id_]["correct"] for id_ in ids], [by[b][id_]["correct"] for id_ in ids], confidence=confidence
    )
    return {
        "a": a,
        "b": b,
        "on": on,
        "n": found.n,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "p_value": found.p_value,
        "method": "exact McNemar; Newcombe's interval",
        "wins": found.wins,
        "losses": found.losses,
    }


def result_lines(results: Mapping[str, Any]) -> list[str]:
    """What a person wants to read last: each stage's accuracy, and what the last stage gained, with intervals."""
    name = "in_distribution" if "in_distribution" in results["stages"]["base"] else "final"
    stages, confidence = list(results["stages"]), f"{results['confidence']:.0%}"
    rates = {stage: sets[name] for stage, sets in results["stages"].items() if name in sets}
    lines = [f"{stage:>5}: {_told(rate, name, confidence)}" for stage, rate in rates.items()]
    lines += contamination_lines(results, name)
    last = [pair for pair in results["comparisons"] if pair["on"] == name and [pair["a"], pair["b"]] == stages[-2:]]
    for pair in last:
        lines.append(
            f"{pair['a']} -> {pair['b']}: {100 * pair['difference']:+.1f} points, {confidence} interval "
            f"{100 * pair['low']:+.1f} to {100 * pair['high']:+.1f}; {pair['wins']} won, {pair['losses']} lost, "
            f"p = {pair['p_value']:.2g}"
        )
    return lines


def _told(rate: Mapping[str, Any], name: str, confidence: str) -> str:
    unasked = f"; {rate['unasked']} could not be asked" if rate["unasked"] else ""
    if rate["accuracy"] is None:
        return f"the verifier failed on all {rate['unscorable']} unseen prompts ({name.replace('_', ' ')}){unasked}"
    failed = f"; the verifier failed on {rate['unscorable']} more" if rate["unscorable"] else ""
    return (
        f"{rate['accuracy']:6.1%} of {rate['n']} unseen prompts ({name.replace('_', ' ')}), "
        f"{confidence} interval {rate['low']:.1%} to {rate['high']:.1%}{failed}{unasked}"
    )
