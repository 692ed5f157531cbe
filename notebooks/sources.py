"""What the notebook takes from the package's files: definitions by their names, and the imports that they need."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TypeGuard

PACKAGE = "grounding"
REPLACED = {  # what only other callers of the package need
    "@own_mode()": "@torch.no_grad()",
    "_checked(model_size)": "model_size",
    "    heatmap = checked(heatmap)\n": "",
    ", compiled=clip.compiled": "",
    ", compiled=self.compiled": "",
    ", compiled: bool = False": "",
    "        self.compiled = compiled\n": "",
    "self._tower.compiled() if compiled else self._tower.forward": "self._tower.forward",
    ", *, transformer: Transformer | None = None": "",
    "(transformer or model.transformer)": "model.transformer",
    " if output_stride == 32 else _layer4_at_stride_16(visual.layer4, x)": "",
    "_evenly_spaced(count, like=x)": "torch.linspace(-1, 1, count).to(x)",
    '        self._updates = ""\n': "",
    "        other._updates = str(sum(added.detach().cpu().double().sum().item() for added in updates.values()))\n": "",
    "        everyone = gathered(pairs)\n": "        everyone = pairs  # of one process\n",
    "        everyone = gathered(own)\n": "        everyone = own  # of one process\n",
    """        if everyone is own:  # one process: the same scores, and most of the loss's time
            to_images = to_phrases.T
        else:  # (P, all B)
            to_images = scale * pooled_similarity(everyone.regions, everyone.valid, own.phrases, sharpness)
""": "        to_images = to_phrases.T\n",
}
AFTER_DOCSTRING = re.compile(r'^( *(?:class|def) .*:\n +""".*"""\n)\n', re.MULTILINE)
SELECTED = re.compile(r"(\w+)(?:\(([^)]*)\))?")


def selected(path: Path, names: str) -> str:
    """Top-level definitions of a module, in its own order; `Class(-method, ...)` leaves methods out.

    Raises:
        SystemExit: a name is not there.
    """
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    wanted = {name: {each.strip() for each in options.split(",") if each} for name, options in SELECTED.findall(names)}
    pieces = []
    for node in ast.parse(text).body:
        name = _name(node)
        if name in wanted:
            pieces.append(_code_of(node, lines, options=wanted.pop(name)))
    if wanted:
        raise SystemExit(f"error: {path.name} has no {', '.join(wanted)}: correct parts/*.md")
    return _formatted("\n".join(pieces))


def _code_of(node: ast.stmt, lines: list[str], *, options: set[str]) -> str:
    """The lines of a definition with its decorators and the comment above it.

    Of docstrings the first paragraph is kept. Left out are methods and fields named "-name", and checks of arguments
    that raise an error.
    """
    first, last = _extent(node, lines)
    kept = dict(enumerate(lines[first:last], start=first))
    dropped = {each[1:] for each in options if each.startswith("-")}
    for method in getattr(node, "body", ()):
        if _name(method) in dropped:
            dropped.remove(str(_name(method)))
            for index in range(*_extent(method, lines)):
                kept.pop(index)
    if dropped:
        raise SystemExit(f"error: {_name(node)} has no {', '.join(sorted(dropped))}: correct parts/*.md")
    for each in ast.walk(node):
        if _only_checks(each) and each.lineno - 1 in kept:
            for index in range(each.lineno - 1, each.end_lineno or 0):
                kept.pop(index, None)
    for each in ast.walk(node):
        if isinstance(each, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(each) and each.lineno - 1 in kept:
            text = each.body[0]
            paragraph = (ast.get_docstring(each) or "").partition("\n\n")[0]
            for index in range(text.lineno, text.end_lineno or 0):
                kept.pop(index)
            indent = " " * text.col_offset
            kept[text.lineno - 1] = textwrap.indent(f'"""{paragraph}"""', indent)
    return "\n".join(kept[index] for index in sorted(kept)).rstrip()


def _only_checks(node: ast.AST) -> TypeGuard[ast.stmt]:
    """Whether it does nothing but raise errors."""
    if isinstance(node, ast.If | ast.For) and not node.orelse:
        return all(isinstance(each, ast.Raise) or _only_checks(each) for each in node.body)
    return False


def _formatted(source: str) -> str:
    """As ruff formats it with no regard to trailing commas: what fits into a line is in one."""
    ruff = [str(Path(sys.executable).with_name("ruff")), "format", "--isolated", "--line-length=120",
            "--config=format.skip-magic-trailing-comma=true", "--stdin-filename=cell.py", "-"]  # fmt: skip
    source = re.sub(r"  # type: ignore\S*", "", source)
    for words, others in REPLACED.items():
        source = source.replace(words, others)
    formatted = subprocess.run(ruff, input=source, capture_output=True, text=True, check=True).stdout.strip()
    return _filled(formatted)


def _filled(source: str) -> str:
    """What ruff has put on lines of their own, in brackets, on as few lines as hold it, inner brackets first."""
    lines = source.splitlines()
    for index in reversed(range(len(lines))):
        head, indent = lines[index], _indent(lines[index])
        ends = (number for number in range(index + 1, len(lines)) if _indent(lines[number]) <= indent)
        end = next(ends, len(lines))
        within = lines[index + 1 : end]
        if head.endswith(("(", "[", "{")) and end < len(lines) and all(_indent(line) == indent + 4 for line in within):
            filled = [head]
            for item in [*(line.strip() for line in within[:-1]), within[-1].strip().rstrip(","), lines[end].strip()]:
                space = "" if filled[-1] == head or item == lines[end].strip() else " "
                joined = f"{filled[-1]}{space}{item}"
                filled[-1:] = [joined] if len(joined) <= 120 else [filled[-1], " " * len(head) + item]
            candidate = [*lines[:index], *filled, *lines[end + 1 :]]
            fits = all(len(line) <= 120 for line in filled) and len(filled) < len(within) + 2
            lines = candidate if fits and _same("\n".join(candidate), source) else lines
    return "\n".join(lines)


def _same(one: str, other: str) -> bool:
    """Whether two texts are the same program, comments included."""
    try:
        return ast.dump(ast.parse(one)) == ast.dump(ast.parse(other)) and one.count("#") == other.count("#")
    except SyntaxError:  # a comment has swallowed what followed it
        return False


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _extent(node: ast.stmt, lines: list[str]) -> tuple[int, int]:
    """Index of the first line, and of the one after the last."""
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))]) - 1
    while first and lines[first - 1].strip().startswith("#"):
        first -= 1
    return first, node.end_lineno or node.lineno


def _name(node: ast.AST) -> str | None:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return targets[0].id if isinstance(targets[0], ast.Name) else None


def imports_of(sources: list[str], *, used: set[str]) -> str:
    """The imports of all sources but those of the package, of names that the notebook uses; sorted as ruff does."""
    whole: set[str] = set()
    of_modules: dict[str, set[str]] = {}
    for node in (each for source in sources for each in ast.parse(source).body):
        if isinstance(node, ast.Import):
            whole |= {
                f"import {a.name}" + (f" as {a.asname}" if a.asname else "")
                for a in node.names
                if (a.asname or a.name) in used
            }
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] != PACKAGE:
            names = {a.name + (f" as {a.asname}" if a.asname else "") for a in node.names
                     if (a.asname or a.name) in used}  # fmt: skip
            if names and node.module != "__future__":
                of_modules.setdefault(node.module, set()).update(names)
    froms = [f"from {module} import {', '.join(sorted(names, key=_as_isort))}" for module, names in of_modules.items()]
    lines = sorted([*whole, *froms], key=lambda line: (line.split()[1].split(".")[0] not in sys.stdlib_module_names,
                                                       line.startswith("from"), line.split()[1].lower()))  # fmt: skip
    return "\n".join(["from __future__ import annotations", "", *lines])


def _as_isort(name: str) -> tuple[bool, bool, str]:
    return not name.isupper(), not name[0].isupper(), name


def without_imports(source: str) -> str:
    """A cell without the import statements at its top level, which all stand in one cell."""
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno + 1)
    text = "\n".join(lines)
    text = re.sub(r"  # fmt: skip|^# fmt: (?:off|on)\n?", "", text, flags=re.MULTILINE).strip()
    # A cell is short: one blank line between definitions, none within them.
    text = AFTER_DOCSTRING.sub(r"\1", re.sub(r"\n{3,}", "\n\n", text))
    return re.sub(r"\n\n(?! *(?:def |class |@))(?= )", "\n", text)


def names_in(source: str) -> set[str]:
    """Every name that occurs, also with what is asked of it: "torch" and "torch.nn"."""
    return {ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name | ast.Attribute)}
