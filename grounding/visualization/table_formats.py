"""One table of results in four forms: plain text, Markdown, LaTeX (booktabs) and CSV, all written by pandas."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pandas as pd
from tabulate import LATEX_ESCAPE_RULES

TableForm = Literal["text", "markdown", "latex", "csv"]
CAPTION_WIDTH = 120  # characters at which the text form breaks its caption
ESCAPES = {
    # A bar would end the cell, and what is between angles is taken for HTML.
    "markdown": str.maketrans({"<": "&lt;", "|": "\\|"}),
    "latex": str.maketrans(LATEX_ESCAPE_RULES),
}
# A table that is wider than the page is made smaller, which takes graphicx.
LATEX_TABLE = r"""\begin{table*}
\centering\scriptsize\setlength{\tabcolsep}{3pt}
\caption{%(title)s}
\label{tab:%(name)s}\par\medskip
\sbox0{%(body)s}
\ifdim\wd0>\textwidth\resizebox{\textwidth}{!}{\usebox0}\else\usebox0\fi
\end{table*}
"""
ABSENT = "-"  # in a printed cell of which nothing was measured
Values = Mapping[str, Any]  # of a row: numbers, or None


class Column(NamedTuple):
    """A column: its printed heading, which of a row's values it shows and how, and what they are multiplied with."""

    heading: str
    names: tuple[str, ...]
    form: str = "{:.3f}"
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
    """One table: its file's name, what it shows, and under which conditions it was measured."""

    name: str
    title: str
    caption: str
    headings: tuple[str, ...]  # the first one names the rows
    sections: dict[str, list[list[str]]]  # title of a group of rows -> its rows as they are printed, a text per heading
    values: pd.DataFrame  # the unrounded numbers, a row each, after a column "section"; None where there is none


def render(table: ResultTable, form: TableForm) -> str:
    """A table with its title and caption, ending in a newline; of several sections, each under a row with its title."""
    if form == "csv":
        return table.values.to_csv(index=False, lineterminator="\n")
    rows: list[list[str]] = []
    for title, of_section in table.sections.items():
        if len(table.sections) > 1:
            rows.append([f"{title}:", *[""] * (len(table.headings) - 1)])
        rows += of_section
    headings, *rows = [[text.translate(ESCAPES.get(form, {})) for text in row] for row in (table.headings, *rows)]
    printed = pd.DataFrame(rows, columns=headings)
    plain = {"index": False, "disable_numparse": True, "colalign": ("left", *["right"] * (len(headings) - 1))}
    if form == "markdown":
        return f"## {table.title}\n\n{table.caption}\n\n{printed.to_markdown(tablefmt='github', **plain)}\n"
    if form == "latex":
        body = printed.to_latex(index=False, column_format="l" + "r" * (len(headings) - 1))
        title = f"{table.title}. {table.caption}".translate(ESCAPES["latex"])
        return LATEX_TABLE % {"title": title, "name": table.name, "body": body.rstrip()}
    # As a row, for below headings tabulate makes columns two characters too wide.
    head, *lines = pd.DataFrame([headings, *rows]).to_markdown(tablefmt="plain", headers=(), **plain).splitlines()
    return "\n".join([table.title, *textwrap.wrap(table.caption, CAPTION_WIDTH), "", head, "-" * len(head), *lines, ""])


def table_of(
    name: str,
    title: str,
    said: str,
    heading: str,
    columns: Sequence[Column],
    sections: Mapping[str, Mapping[str, Values]],
) -> ResultTable:
    """A table of sections of rows, called by what is under the first heading; without what nothing was measured of."""
    measured = [row for rows in sections.values() for row in rows.values()]
    used = [column for column in columns if any(row.get(column.names[0]) is not None for row in measured)]
    names = [name for column in used for name in column.names]
    printed: dict[str, list[list[str]]] = {}
    unrounded = []
    for section, rows in sections.items():
        for member, row in rows.items():
            texts = [column.text(row) for column in used]
            if any(text != ABSENT for text in texts):
                printed.setdefault(section, []).append([member, *texts])
                unrounded.append([section, member, *map(row.get, names)])
    frame = pd.DataFrame(unrounded, columns=["section", heading, *names], dtype=object)
    return ResultTable(name, title, said, (heading, *(column.heading for column in used)), printed, frame)
