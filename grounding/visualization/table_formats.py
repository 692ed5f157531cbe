"""One table of results in four forms: plain text, Markdown, LaTeX (booktabs) and CSV, all written by pandas."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from tabulate import LATEX_ESCAPE_RULES

from grounding.errors import InputError

FORMATS = ("text", "markdown", "latex", "csv")
CAPTION_WIDTH = 120  # characters at which the text form breaks its caption
# Markdown: a bar would end the cell, and what is between angles is taken for HTML.
MARKDOWN_ESCAPES = str.maketrans({"<": "&lt;", "|": "\\|"})
LATEX_ESCAPES = str.maketrans(LATEX_ESCAPE_RULES)
# A table that is wider than the page is made smaller, which takes graphicx.
LATEX_TABLE = r"""\begin{table*}
\centering\scriptsize\setlength{\tabcolsep}{3pt}
\caption{%(title)s}
\label{tab:%(name)s}\par\medskip
\sbox0{%(body)s}
\ifdim\wd0>\textwidth\resizebox{\textwidth}{!}{\usebox0}\else\usebox0\fi
\end{table*}
"""


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

    Raises:
        InputError: there is no such format.
    """
    if fmt == "csv":
        return table.values.to_csv(index=False, lineterminator="\n")
    if fmt == "text":
        above = "\n".join([table.title, *textwrap.wrap(table.caption, CAPTION_WIDTH)])
        return f"{above}\n\n{_text(table)}\n"
    sides = ("left", *["right"] * (len(table.headings) - 1))
    if fmt == "markdown":
        body = _printed(table, MARKDOWN_ESCAPES).to_markdown(
            index=False, tablefmt="github", disable_numparse=True, colalign=sides
        )
        return f"## {table.title}\n\n{table.caption}\n\n{body}\n"
    if fmt == "latex":
        body = _printed(table, LATEX_ESCAPES).to_latex(index=False, column_format="".join(side[0] for side in sides))
        lines = _ruled(body.splitlines(), [title.translate(LATEX_ESCAPES) for title in table.sections], "\\midrule")
        title = f"{table.title}. {table.caption}".translate(LATEX_ESCAPES)
        return LATEX_TABLE % {"title": title, "name": table.name, "body": "\n".join(lines)}
    raise InputError(f"no table format {fmt!r}: choose from {', '.join(FORMATS)}")


def _printed(table: ResultTable, escapes: dict[int, str] | None = None) -> pd.DataFrame:
    """The printed rows; where there are several sections, each under a row with its title."""
    rows: list[list[str]] = []
    for title, of_section in table.sections.items():
        if len(table.sections) > 1:
            rows.append([f"{title}:"] + [""] * (len(table.headings) - 1))
        rows += of_section
    escaped = [[text.translate(escapes or {}) for text in row] for row in [table.headings, *rows]]
    return pd.DataFrame(escaped[1:], columns=escaped[0])


def _text(table: ResultTable) -> str:
    """The table in columns, the first one on the left and two spaces between them."""
    printed = _printed(table)
    width = max(map(len, [table.headings[0], *printed.iloc[:, 0]]))
    printed.iloc[:, 0] = printed.iloc[:, 0].str.ljust(width)
    printed.iloc[:, 1:] = " " + printed.iloc[:, 1:]
    printed.columns = pd.Index([table.headings[0].ljust(width), *(f" {each}" for each in table.headings[1:])])
    head, *rows = (line.rstrip() for line in printed.to_string(index=False).splitlines())
    return "\n".join([head, *_ruled(["-" * len(head), *rows], list(table.sections), "-" * len(head))])


def _ruled(lines: Sequence[str], titles: Sequence[str], rule: str) -> list[str]:
    """Lines of a table with a rule above the title of each section but the first."""
    ruled: list[str] = []
    for line in lines:
        if any(line.startswith(f"{title}:") for title in titles[1:]):
            ruled.append(rule)
        ruled.append(line)
    return ruled
