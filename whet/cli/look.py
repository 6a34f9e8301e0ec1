# ruff: noqa: T201  (this is the command line)
"""The verbs that look at what is there: rollouts, comparisons, scores, a talk with the model, tokens."""

import json
import sys
from pathlib import Path
from typing import Annotated

import cyclopts

from whet.cli.app import AtLeastOne, Json, Quiet, StageName, app, existing_run, tokens_app
from whet.core.runlog import printable

__all__ = ["chat", "compare", "rollouts", "score", "tokens_compare", "tokens_view"]


@app.command
def rollouts(run: Path, /, *, step: int | None = None, count: AtLeastOne = 3, as_json: Json = False) -> None:
    """What the policy wrote in a step: the best and the worst, with the parts of their reward and their advantage.

    Parameters
    ----------
    step
        The newest when not given.
    count
        How many of the best and of the worst.
    """
    from whet.verbs.rollouts import rollouts_of, rollouts_text

    lines = rollouts_of(existing_run(run), step)
    print("\n".join(map(json.dumps, lines)) if as_json else rollouts_text(lines, count=count))


@app.command
def compare(a: Path, b: Path, /, *, stage: StageName | None = None, as_json: Json = False) -> None:
    """Two runs on the prompts that both were asked: paired differences with intervals.

    Parameters
    ----------
    stage
        The last that both have when not given.
    """
    from whet.verbs.compare import compare_runs, comparison_text

    found = compare_runs(existing_run(a), existing_run(b), stage=stage)
    print(json.dumps(found) if as_json else comparison_text(found))


@app.command
def score(
    file: Path,
    /,
    *,
    reward: Annotated[list[str], cyclopts.Parameter(consume_multiple=False)],
    out: Path,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Any reward over a file of completions: one JSON line per row, in order; exit code 1 when no row got a score.

    Parameters
    ----------
    file
        Rows with `completion`, and what the reward needs (`prompt`, `answer`, ...).
    reward
        A name such as answer, closeness, format, or file.py:function; may be given several times.
    out
        Where the scores go.
    """
    from whet.verbs.score_file import score_file

    summary = score_file(file, reward, out)
    for note in summary.notes if not quiet else ():
        print(note, file=sys.stderr)
    if as_json:
        print(json.dumps({"rows": summary.rows, "scored": summary.scored, "mean": summary.mean}))
    elif not quiet:
        print(f"{summary.scored} of {summary.rows} rows scored, mean {summary.mean_text}; {out}")
    if summary.unscorable and (not quiet or not summary.scored):
        reason = printable(str(summary.first_reason), limit=300).replace("\n", " ")
        print(f"{summary.unscorable} of {summary.rows} rows have no score; the first: {reason}", file=sys.stderr)
    if not summary.scored:
        sys.exit(1)


@app.command
def chat(
    run: Path,
    /,
    *,
    stage: StageName | None = None,
    prompt: str | None = None,
    temperature: Annotated[float, cyclopts.Parameter(validator=cyclopts.validators.Number(gte=0))] = 0.0,
    max_completion_length: AtLeastOne = 256,
) -> None:
    """Talk to a run's model: the last stage it has, or the one named.

    Parameters
    ----------
    prompt
        Answer this once and stop, instead of asking on the terminal.
    temperature
        0 is greedy.
    """
    from whet.verbs.chat import chat as chat_

    chat_(
        existing_run(run),
        stage=stage,
        prompt=prompt,
        temperature=temperature,
        max_completion_length=max_completion_length,
    )


@tokens_app.command(name="view", usage="whet tokens view TEXT [--model NAME] [--completion TEXT]")
def tokens_view(text: str, /, *, model: str = "whet:tiny", completion: str | None = None) -> None:
    """The tokens of a prompt, and with --completion which of them are trained."""
    from whet.core.recipe import TemplateSettings
    from whet.models.tokenizer import load_template
    from whet.tokens.inspect import show

    show(load_template(model, TemplateSettings()), text, completion=completion)


@tokens_app.command(name="compare", usage="whet tokens compare TEXT --model NAME --model NAME ...")
def tokens_compare(
    text: str, /, *, model: Annotated[tuple[str, ...], cyclopts.Parameter(consume_multiple=False)] = ("whet:tiny",)
) -> None:
    """The same text through several tokenizers: how many tokens each needs, and where it cuts.

    Parameters
    ----------
    model
        A name that has a tokenizer: whet:tiny, a folder, a hub id; may be given several times.
    """
    from whet.models.tokenizer import load_tokenizer
    from whet.tokens.compare import comparison_text, cut

    print(comparison_text([cut(name, load_tokenizer(name), text) for name in model], text))
