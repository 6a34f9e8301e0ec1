"""The words and sentence forms of `whet:arithmetic`: common ones, rare ones, and ones that only evaluation shows."""

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "ACTIONS",
    "CONTAINERS",
    "DISTRACTORS",
    "FRAMES",
    "GROUP_OPENINGS",
    "HE",
    "OPENINGS",
    "PEOPLE",
    "PLACES",
    "QUALITIES",
    "QUESTIONS",
    "RARE_ACTIONS",
    "RARE_THINGS",
    "SHE",
    "THINGS",
    "UNSEEN_ACTIONS",
    "UNSEEN_FRAMES",
    "UNSEEN_OPENINGS",
    "UNSEEN_QUESTIONS",
    "Action",
    "Operation",
]

Operation = Literal["+", "-", "*"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SHE = _words(
    "Alice Anna Bella Clara Diana Emma Fiona Grace Hanna Iris Julia Karen Laura Maria Nina Olga Paula Rosa Sara Tina"
)
HE = _words(
    "Adam Ben Carl David Erik Felix George Henry Ivan Jack Kevin Leo Mark Nick Oscar Paul Robert Simon Tom Victor"
)
PEOPLE = tuple((name, "she") for name in SHE) + tuple((name, "he") for name in HE)
THINGS = _words(
    """apples pears plums lemons cookies muffins candies eggs books pencils crayons stickers stamps coins marbles
    balloons shells stones leaves flowers buttons beads ribbons cards toys dolls kites balls cups plates spoons bottles
    tickets pictures candles notebooks"""
)
QUALITIES = ("", "", "", "", "red ", "green ", "blue ", "small ", "big ", "old ", "new ", "round ")
RARE_THINGS = _words(
    """lanterns sextants fossils harmonicas thimbles gargoyles parasols trinkets medallions goblets figurines compasses
    ocarinas tapestries geodes pinecones abacuses monocles"""
)
CONTAINERS = ("boxes", "bags", "baskets", "jars", "packs")
PLACES = ("at the market", "at school", "in the park", "at the fair", "in the shop", "at home")

OPENINGS = (
    "{name} has {n} {things}",
    "{name} starts with {n} {things}",
    "{name} owns {n} {things}",
    "In the morning {name} has {n} {things}",
    "{name} brings along {n} {things}",
    "On Monday {name} has {n} {things}",
    "{name} keeps {n} {things} {place}",
)
GROUP_OPENINGS = (
    "{name} has {k} {containers} with {m} {things} in each",
    "{name} fills {k} {containers} with {m} {things} each",
    "There are {k} {containers} with {m} {things} each, and all belong to {name}",
)
UNSEEN_OPENINGS = (
    "The collection of {name} counts {n} {things}",
    "A chest that belongs to {name} holds {n} {things}",
    "All in all {n} {things} belong to {name} at first",
)
FRAMES = (
    "{Sub} {clause}.",
    "{Sub} {clause} {place}.",
    "Then {sub} {clause}.",
    "After that {sub} {clause}.",
    "Later {sub} {clause}.",
    "The next day {sub} {clause}.",
    "{name} {clause}.",
    "In the evening {sub} {clause}.",
)
UNSEEN_FRAMES = (
    "Before long, {name} {clause}.",
    "As it happens, {sub} {clause}.",
    "What follows is that {sub} {clause}.",
)
QUESTIONS = (
    "How many {things} does {name} have now?",
    "How many now?",
    "How many {things} are there in the end?",
    "How many {things} does {sub} have in total?",
    "How many {things} are left?",
    "How many does {name} have at the end?",
    "What is the number of {things} now?",
)
UNSEEN_QUESTIONS = ("Count what {name} is left holding.", "State the final tally of {things}.")
DISTRACTORS = (
    "{other} has {d} {others}.",
    "{name} is {d} years old.",
    "The walk takes {d} minutes.",
    "{other} looks at {d} {others}.",
    "It is day {d} of the month.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What happens to the count: `Action(thought="Buys", operation="+", clauses=("buys {n} more",))`."""

    thought: str
    operation: Operation
    clauses: tuple[str, ...]
    number: int | None = None  # fixed when the word carries it: "doubles" is 2


ACTIONS = (
    Action(thought="Buys", operation="+", clauses=("buys {n} more", "buys {n} more {things}", "buys {n} {things}")),
    Action(thought="Finds", operation="+", clauses=("finds {n} more", "finds {n} {things}", "finds another {n}")),
    Action(thought="Gets", operation="+", clauses=("gets {n} {things} from {other}", "gets {n} more from {other}")),
    Action(thought="Picks", operation="+", clauses=("picks up {n} more", "picks up {n} {things}")),
    Action(thought="Makes", operation="+", clauses=("makes {n} more", "makes {n} {things}")),
    Action(thought="Wins", operation="+", clauses=("wins {n} {things}", "wins {n} more")),
    Action(thought="Gives", operation="-", clauses=("gives {n} to {other}", "gives {n} {things} to {other}")),
    Action(thought="Sells", operation="-", clauses=("sells {n}", "sells {n} {things}", "sells {n} of them")),
    Action(thought="Loses", operation="-", clauses=("loses {n}", "loses {n} of the {things}")),
    Action(thought="Uses", operation="-", clauses=("uses {n} {things}", "uses {n} of them")),
    Action(thought="Drops", operation="-", clauses=("throws away {n}", "throws away {n} {things}")),
    Action(thought="Lends", operation="-", clauses=("lends {n} {things} to {other}", "lends {n} to {other}")),
    Action(thought="Doubles", operation="*", clauses=("doubles the number of {things}", "doubles them"), number=2),
    Action(thought="Triples", operation="*", clauses=("triples the number of {things}", "triples them"), number=3),
    Action(thought="Times", operation="*", clauses=("ends up with {n} times as many {things}",)),
)
RARE_ACTIONS = (
    Action(thought="Inherits", operation="+", clauses=("inherits {n} {things}",)),
    Action(thought="Unearths", operation="+", clauses=("unearths {n} more",)),
    Action(thought="Donates", operation="-", clauses=("donates {n} {things} to the museum",)),
    Action(thought="Forfeits", operation="-", clauses=("forfeits {n} of them",)),
    Action(thought="Barters", operation="-", clauses=("barters away {n} {things}",)),
    Action(thought="Fourfold", operation="*", clauses=("quadruples the number of {things}",), number=4),
)
UNSEEN_ACTIONS = (
    Action(thought="Adds", operation="+", clauses=("sees the hoard grow by {n}", "adds {n} on top")),
    Action(thought="Takes", operation="-", clauses=("sees the hoard shrink by {n}", "does away with {n}")),
)
