"""The share of pairs that end in one cluster, for every trap, view and peer: python benchmarks/traps.py

A star marks what is not the verdict wanted of that view; peers are held to that of `near`. The last line is JSON:
`ratios` are the share of verdicts that are right, `targets` 1.
"""

import argparse
import json
import platform
from collections.abc import Sequence

from dedupe import TOOLS, clusters
from planted_traps import Trap, traps

VIEWS = {"near": ["whet"], "stop": ["whet stop"], "template": ["whet template"]}
PEERS = ["rensa 16", "rensa 32", "datasketch"]


def shares(cluster: Sequence[int], kinds: Sequence[Trap]) -> dict[str, float]:
    return {
        trap.name: sum(cluster[first] == cluster[second] for first, second in trap.pairs) / len(trap.pairs)
        for trap in kinds
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threshold", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tools", default=",".join([*(tool for tools in VIEWS.values() for tool in tools), *PEERS]))
    arguments = parser.parse_args()
    made = traps(arguments.seed)
    view_of = {tool: view for view, tools in VIEWS.items() for tool in tools}
    found, filler_merged = {}, {}
    for tool in arguments.tools.split(","):
        cluster = clusters(len(made.texts), TOOLS[tool](made.texts, arguments.threshold))
        found[tool] = shares(cluster, made.traps)
        filler_merged[tool] = sum(cluster[row] != row for row in made.filler)
    print(f"{'trap':<32}" + "".join(f"{tool:>16}" for tool in found))
    right: dict[str, list[float]] = {tool: [] for tool in found}
    for trap in made.traps:
        cells = []
        for tool, share in found.items():
            wanted = trap.wanted.get(view_of.get(tool, "near"))
            mark = "" if wanted is None or share[trap.name] == wanted else "*"
            cells.append(f"{share[trap.name]:>15.2f}{mark or ' '}")
            if wanted is not None:
                right[tool].append(share[trap.name] if wanted else 1 - share[trap.name])
        print(f"{trap.name:<32}" + "".join(cells))
    print(f"{'unrelated filler rows merged':<32}" + "".join(f"{count:>15} " for count in filler_merged.values()))
    ratios = {tool: round(sum(values) / len(values), 3) for tool, values in right.items()}
    targets = dict.fromkeys((tool for tool in found if tool in view_of), 1.0)
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    print(json.dumps({"ratios": ratios, "targets": targets, "fraction_of_limit": ratios, "machine": machine}))


if __name__ == "__main__":
    main()
