"""Draw the rule graph that `snakemake --rulegraph mermaid-js` prints (standard input) as an SVG picture.

Rules stand in rows, each below all that it needs.  An arrow that a longer way round implies is left out, as in
a Hasse diagram.  No drawing program has to be installed for it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from html import escape
from itertools import pairwise

from starglot import cli
from starglot.errors import StarglotError
from starglot.tables import write_text

ROW, BOX, GAP, LETTER = 74, 34, 26, 7.6
SWEEPS = 24
STYLE = (
    "text{font:14px ui-sans-serif,system-ui,sans-serif;fill:#1c2733;text-anchor:middle;dominant-baseline:central}"
    "rect{fill:#eaf1f8;stroke:#39698f;stroke-width:1.2}path{fill:none;stroke:#8aa3b8;stroke-width:1.4}"
)

Edge = tuple[str, str]


def read_graph(lines: Iterable[str]) -> tuple[list[str], list[Edge]]:
    """(rule names, (needed, needing) pairs) of a mermaid flow chart; the target `all` is left out."""
    names: dict[str, str] = {}
    edges: list[Edge] = []
    for line in lines:
        if node := re.match(r"\s*(id\d+)\[(\w+)\]", line):
            names[node[1]] = node[2]
        elif edge := re.match(r"\s*(id\d+) --> (id\d+)", line):
            edges.append((edge[1], edge[2]))
    if not names:
        raise StarglotError("snakemake printed no rule graph", todo="try: snakemake -n, and correct what it says")
    links = [(names[a], names[b]) for a, b in edges if "all" not in (names[a], names[b])]
    return sorted(set(names.values()) - {"all"}), sorted(set(links))


def depths(names: list[str], edges: list[Edge]) -> dict[str, int]:
    """Row of each rule: one below the lowest of those that it needs."""
    needs = defaultdict(list)
    for above, below in edges:
        needs[below].append(above)
    found: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in found:
            found[name] = max((depth(above) + 1 for above in needs[name]), default=0)
        return found[name]

    for name in names:
        depth(name)
    return found


def reduced(edges: list[Edge]) -> list[Edge]:
    """The edges of an acyclic graph that no longer way implies."""
    after = defaultdict(set)
    for above, below in edges:
        after[above].add(below)

    def beyond(name: str) -> set[str]:
        return {far for near in after[name] for far in {near} | beyond(near)}

    return [(a, b) for a, b in edges if not any(b in beyond(other) for other in after[a] - {b})]


def place(names: list[str], edges: list[Edge]) -> tuple[dict[str, tuple[float, float]], list[list[str]]]:
    """Centre of every rule, and every edge as the points that it passes (way points keep it clear of boxes)."""
    row_of = depths(names, edges)
    chains: list[list[str]] = []
    rows: dict[int, list[str]] = defaultdict(list)
    for name in names:
        rows[row_of[name]].append(name)
    for above, below in edges:
        between = [f"{above} {below} {row}" for row in range(row_of[above] + 1, row_of[below])]
        for point in between:
            rows[int(point.split()[-1])].append(point)
        chains.append([above, *between, below])
    neighbours: dict[str, list[str]] = defaultdict(list)
    for chain in chains:
        for one, other in pairwise(chain):
            neighbours[one].append(other)
            neighbours[other].append(one)
    x = {name: float(k * 100) for row in rows.values() for k, name in enumerate(row)}
    for sweep in range(SWEEPS):
        for number in sorted(rows, reverse=bool(sweep % 2)):
            row = rows[number]
            wish = {name: sum(x[o] for o in neighbours[name]) / max(1, len(neighbours[name])) for name in row}
            row.sort(key=lambda name: (wish[name], name))
            _spread(row, wish, x)
    left = min(x[name] - width(name) / 2 for name in x)
    where = {name: (x[name] - left + GAP, float(number * ROW + BOX)) for number, row in rows.items() for name in row}
    return where, chains


def _spread(row: list[str], wish: dict[str, float], x: dict[str, float]) -> None:
    """Put a row's members near their wishes, in order and without overlap."""
    at = [wish[name] for name in row]
    for k in range(1, len(row)):
        at[k] = max(at[k], at[k - 1] + (width(row[k - 1]) + width(row[k])) / 2 + GAP)
    shift = sum(wish[name] - a for name, a in zip(row, at, strict=True)) / len(row)
    x.update({name: a + shift for name, a in zip(row, at, strict=True)})


def width(name: str) -> float:
    """Width of a rule's box; a way point has almost none."""
    return 4.0 if " " in name else LETTER * len(name) + 24


def svg(names: list[str], edges: list[Edge]) -> str:
    """The picture."""
    loops = {one for one, other in edges if one == other}
    where, chains = place(names, reduced([edge for edge in edges if edge[0] != edge[1]]))
    parts = []
    for chain in chains:
        points = [where[name] for name in chain]
        d = f"M{points[0][0]:.0f} {points[0][1] + BOX / 2:.0f}"
        for (x0, y0), (x1, y1) in pairwise(points):
            start, end = y0 + BOX / 2, y1 - BOX / 2
            middle = (start + end) / 2
            d += f" L{x0:.0f} {start:.0f} C{x0:.0f} {middle:.0f} {x1:.0f} {middle:.0f} {x1:.0f} {end:.0f}"
        parts.append(f'<path d="{d}" marker-end="url(#tip)"/>')
    for name in names:
        (x, y), w = where[name], width(name)
        if name in loops:  # one training continues another
            end = x + w / 2
            parts.append(
                f'<path d="M{end:.0f} {y - 9:.0f} C{end + 26:.0f} {y - 22:.0f} {end + 26:.0f} {y + 22:.0f} '
                f'{end:.0f} {y + 9:.0f}" marker-end="url(#tip)"/>'
            )
        parts.append(f'<rect x="{x - w / 2:.0f}" y="{y - BOX / 2:.0f}" width="{w:.0f}" height="{BOX}" rx="6"/>')
        parts.append(f'<text x="{x:.0f}" y="{y:.0f}">{escape(name.replace("_", " "))}</text>')
    right = max(x + width(name) / 2 for name, (x, _) in where.items()) + GAP
    bottom = max(y for _, y in where.values()) + BOX
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right:.0f} {bottom:.0f}" width="{right:.0f}">\n'
        f"<style>{STYLE}</style>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" style="fill:#8aa3b8;stroke:none"/></marker></defs>\n'
        '<rect width="100%" height="100%" style="fill:#fff;stroke:none"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def main(args: argparse.Namespace) -> None:
    """Read standard input, write the picture."""
    names, edges = read_graph(sys.stdin)
    after = [(checkpoint, rule) for checkpoint, rule in args.after if {checkpoint, rule} <= set(names)]
    write_text(svg(names, sorted({*edges, *after})), args.out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--after",
        nargs=2,
        action="append",
        default=[],
        metavar=("CHECKPOINT", "RULE"),
        help="a rule whose input is found in a checkpoint's output, which the graph does not know",
    )
    parser.add_argument("--out", required=True)
    cli.run(main, parser)
