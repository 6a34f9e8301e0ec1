"""One picture per file: a small function from a run's files to a figure, None where the run has no data for it.

Add a picture: write its file, and put it into PICTURES under the name by which the page and a notebook ask for it.
Pictures read `RunFiles` alone; they open no file and know no stage's code.
"""

from collections.abc import Callable, Mapping
from functools import partial

from whet.core.errors import first_line
from whet.report.pictures.accuracy import accuracy
from whet.report.pictures.entropy import entropy
from whet.report.pictures.figure import Figure
from whet.report.pictures.group import group_bars
from whet.report.pictures.kl import kl
from whet.report.pictures.length import length
from whet.report.pictures.pass_at import pass_at
from whet.report.pictures.reward_scores import reward_scores
from whet.report.pictures.reward_training import reward_training
from whet.report.pictures.rewards import rewards
from whet.report.pictures.sft_loss import sft_loss
from whet.report.pictures.sft_norm import sft_norm
from whet.report.pictures.sft_rate import sft_rate
from whet.report.pictures.shares import shares
from whet.report.pictures.verdicts import verdicts
from whet.report.run_files import RunFiles

__all__ = ["PICTURES", "drawn_figures", "run_figures"]

PICTURES: Mapping[str, Callable[[RunFiles], Figure | None]] = {
    "accuracy": accuracy,
    "verdicts": verdicts,
    "pass_at": pass_at,
    "reward_scores": reward_scores,
    "sft_loss": sft_loss,
    "sft_rate": sft_rate,
    "sft_norm": sft_norm,
    "reward_training": reward_training,
    "rewards": rewards,
    "kl": kl,
    "entropy": entropy,
    "length": length,
    "shares": shares,
    "group_0": partial(group_bars, place=0),
    "group_1": partial(group_bars, place=1),
    "group_2": partial(group_bars, place=2),
}


def run_figures(files: RunFiles) -> dict[str, Figure]:
    """Every picture that the run has data for, by its name."""
    return drawn_figures(files)[0]


def drawn_figures(files: RunFiles) -> tuple[dict[str, Figure], list[str]]:
    """The pictures, and a line for each that the run has data for and that cannot be drawn from it."""
    drawn, problems = {}, []
    for name, draw in PICTURES.items():
        try:
            figure = draw(files)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            problems.append(f"the picture {name} cannot be drawn ({type(error).__name__}: {first_line(error)})")
            continue
        if figure is not None and figure.data:
            drawn[name] = figure
    return drawn, problems
