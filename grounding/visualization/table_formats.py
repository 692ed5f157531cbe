"""One table in four forms: plain text, Markdown, LaTeX (booktabs) and CSV."""

from __future__ import annotations

import csv
import io
import textwrap
from dataclasses import dataclass
from typing import Any

from tabulate import LATEX_ESCAPE_RULES, SEPARATING_LINE, DataRow, Line, TableFormat, tabulate

from grounding.errors import InputError

FORMATS = ("text", "markdown", "latex", "csv")
CAPTION_WIDTH = 120  # characters at which the text form breaks its caption
# tabulate's "simple" without lines above and below; used without its headers, which it makes two characters too wide.
TEXT = TableFormat(
    lineabove=None, linebelowheader=Line("", "-", "  ", ""), linebetweenrows=None, linebelow=None,
    headerrow=DataRow("", "  ", ""), datarow=DataRow("", "  ", ""), padding=0, with_header_hide=None,
)  # fmt: skip
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
class Cell:
    """What is printed, and the unrounded values behind it: one for each of the column's `names`, None if absent."""

    text: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: of its file.
        title: what it shows.
        caption: under which conditions it was measured.
        headings: of the columns; the first one names the rows.
        names: the columns' names in the CSV, as many as the cells of a row have values.
        sections: title of a group of rows -> rows, each with one Cell per heading.
    """

    name: str
    title: str
    caption: str
    headings: tuple[str, ...]
    names: tuple[str, ...]
    sections: dict[str, list[list[Cell]]]


def render(table: Table, fmt: str) -> str:
    """A table with its title and caption in one of `FORMATS`, ending in a newline.

    Raises:
        InputError: there is no such format.
    """
    if fmt == "csv":
        return _csv(table)
    if fmt == "text":
        above = "\n".join([table.title, *textwrap.wrap(table.caption, CAPTION_WIDTH)])
        body = tabulate([table.headings, SEPARATING_LINE, *_rows(table)], tablefmt=TEXT, **_alignment(table))
        return f"{above}\n\n{body}\n"
    if fmt == "markdown":
        # Markdown knows no line between rows; a bar would end the cell, and what is between angles is taken for HTML.
        headings, *rows = (
            [text.replace("<", "&lt;").replace("|", "\\|") for text in row]
            for row in [table.headings, *_rows(table)]
            if row != SEPARATING_LINE
        )
        return f"## {table.title}\n\n{table.caption}\n\n{tabulate(rows, headings, 'github', **_alignment(table))}\n"
    if fmt == "latex":
        title = "".join(LATEX_ESCAPE_RULES.get(letter, letter) for letter in f"{table.title}. {table.caption}")
        body = tabulate(_rows(table), table.headings, "latex_booktabs", **_alignment(table))
        return LATEX_TABLE % {"title": title, "name": table.name, "body": body}
    raise InputError(f"no table format {fmt!r}: choose from {', '.join(FORMATS)}")


def _rows(table: Table) -> list[Any]:
    """The printed rows; where there are several sections, under their titles and with a line between them."""
    rows: list[Any] = []
    for title, cells in table.sections.items():
        if len(table.sections) > 1:
            rows += [SEPARATING_LINE] if rows else []
            rows.append([f"{title}:"] + [""] * (len(table.headings) - 1))
        rows += [[cell.text for cell in row] for row in cells]
    return rows


def _alignment(table: Table) -> dict[str, Any]:
    return {"disable_numparse": True, "colalign": ("left", *["right"] * (len(table.headings) - 1))}


def _csv(table: Table) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["section", *table.names])
    for title, rows in table.sections.items():
        writer.writerows([title, *(value for cell in row for value in cell.values)] for row in rows)
    return file.getvalue()
