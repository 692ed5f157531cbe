"""One table of results in four forms: plain text, Markdown, LaTeX (booktabs) and CSV, all written by pandas."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
from tabulate import LATEX_ESCAPE_RULES

from grounding.errors import InputError

FORMATS = ("text", "markdown", "latex", "csv")
CAPTION_WIDTH = 120  # characters at which the text form breaks its caption
ESCAPES = {
    # A bar would end the cell, and what is between angles is taken for HTML.
    "markdown": str.maketrans({"<": "&lt;", "|": "\\|"}),
    "latex": str.maketrans(LATEX_ESCAPE_RULES),
}
ABSENT = "-"  # in a printed cell of which nothing was measured
NUMBER = "{:.3f}"
Values = Mapping[str, float | None]
# A table that is wider than the page is made smaller, which takes graphicx.
LATEX_TABLE = r"""\begin{table*}
\centering\scriptsize\setlength{\tabcolsep}{3pt}
\caption{%(title)s}
\label{tab:%(name)s}\par\medskip
\sbox0{%(body)s}
\ifdim\wd0>\textwidth\resizebox{\textwidth}{!}{\usebox0}\else\usebox0\fi
\end{table*}
"""


class Column(NamedTuple):
    """A column: its printed heading, which of a row's values it shows and how, and what they are multiplied with."""

    heading: str
    names: tuple[str, ...]
    form: str = NUMBER
    unit: float = 1

    def text(self, values: Values) -> str:
        """The printed cell; without its interval where a row has none."""
        shown = [values.get(name) for name in self.names]
        if shown[0] is None:
            return ABSENT
        form = self.form if None not in shown else self.form.partition(" [")[0]
        return form.format(*(value * self.unit for value in shown if value is not None))


@dataclass(frozen=True)
class ResultTable:
    """One table.

    Attributes:
        name: of its file.
        title: what it shows.
        caption: under which conditions it was measured.
        headings: of the columns; the first one names the rows.
        sections: title of a group of rows -> its rows as they are printed, a text per heading.
        values: the unrounded numbers behind the rows, a row each, after a column "section"; None where there is none.
    """

    name: str
    title: str
    caption: str
    headings: tuple[str, ...]
    sections: dict[str, list[list[str]]]
    values: pd.DataFrame


def render(table: ResultTable, fmt: str) -> str:
    """A table with its title and caption in one of `FORMATS`, ending in a newline.

    Where it has several sections, each stands under a row with its title, and text and LaTeX have a line between them.

    Raises:
        InputError: there is no such format.
    """
    if fmt not in FORMATS:
        raise InputError(f"no table format {fmt!r}: choose from {', '.join(FORMATS)}")
    if fmt == "csv":
        return table.values.to_csv(index=False, lineterminator="\n")
    rows: list[Sequence[str]] = []
    starts = []  # of the sections
    for title, of_section in table.sections.items():
        starts.append(len(rows))
        if len(table.sections) > 1:
            rows.append([f"{title}:", *[""] * (len(table.headings) - 1)])
        rows += of_section
    headings, *cells = [[text.translate(ESCAPES.get(fmt, {})) for text in row] for row in (table.headings, *rows)]
    printed = pd.DataFrame(cells, columns=headings)
    plain = {"index": False, "disable_numparse": True, "colalign": ("left", *["right"] * (len(headings) - 1))}
    if fmt == "markdown":
        return f"## {table.title}\n\n{table.caption}\n\n{printed.to_markdown(tablefmt='github', **plain)}\n"
    if fmt == "latex":
        lines = printed.to_latex(index=False, column_format="l" + "r" * (len(headings) - 1)).splitlines()
        title = f"{table.title}. {table.caption}".translate(ESCAPES["latex"])
        body = _ruled(lines, lines.index("\\midrule") + 1, starts, "\\midrule")
        return LATEX_TABLE % {"title": title, "name": table.name, "body": body}
    # As a row, for below headings tabulate makes columns two characters too wide.
    head, *lines = pd.DataFrame([headings, *cells]).to_markdown(tablefmt="plain", headers=(), **plain).splitlines()
    body = _ruled([head, "-" * len(head), *lines], 2, starts, "-" * len(head))
    return "\n".join([table.title, *textwrap.wrap(table.caption, CAPTION_WIDTH), "", body, ""])


def _ruled(lines: list[str], first: int, starts: Sequence[int], rule: str) -> str:
    """The lines with a rule above each section but the first; rows begin at line `first`, sections at row `starts`."""
    for start in reversed(starts[1:]):
        lines.insert(first + start, rule)
    return "\n".join(lines)
