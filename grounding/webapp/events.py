"""What the page does when it is used: each handler answers the session that called it, and keeps nothing itself.

Gradio does: for each session the values that its components had last, in memory.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from grounding.errors import InputError
from grounding.webapp.answers import Answerer
from grounding.webapp.choices import Choice, Found
from grounding.webapp.examples import ExampleImage
from grounding.webapp.markup import NOTHING_YET, picture_of, said, table_of
from grounding.webapp.parts import Parts
from grounding.webapp.pictures import SHOWN_SIDE, as_png, draw, saved_side, shortened
from grounding.webapp.records import record
from grounding.webapp.telling import Values, told
from grounding.webapp.uploads import Photo, phrases_of

ALL = "all"  # in the menu of heatmaps


@dataclass(frozen=True)
class Asked:
    """What a session is looking at.

    Attributes:
        photo: the photo.
        phrases: what was asked of it, at least one.
    """

    photo: Photo
    phrases: tuple[str, ...]


class Handlers:
    """The handlers of one page.

    Args:
        answerer: answers all sessions.
        examples: in the order of the page's gallery.
        parts: the page's components.
    """

    def __init__(self, answerer: Answerer, examples: Sequence[ExampleImage], parts: Parts) -> None:
        self._answerer = answerer
        self._examples = examples
        self._parts = parts

    def take(self, values: Values) -> Values:
        """A photo was dropped: show it."""
        at_first = self.forget(values)
        try:
            photo = self._answerer.receive(self._uploaded(Path(values[self._parts.upload]["path"])))
        except InputError as error:
            return {**at_first, self._parts.upload: None, self._parts.status: told(error)}
        picture = draw(self._answerer.pixels(photo), [], heat_of=None, opacity=0, side=SHOWN_SIDE)
        more = f"; of its {photo.frames} pictures the first is used" if photo.frames > 1 else ""
        sentence = f"{photo.name}, {photo.size[0]} x {photo.size[1]} pixels{more}. Type what to look for, then Find."
        return {
            **at_first,
            self._parts.photo: photo,
            self._parts.picture: picture_of(picture, f"the photo {photo.name}"),
            self._parts.status: said(sentence),
        }

    def forget(self, _: Values) -> Values:
        """The photo was removed: back to the beginning, with the phrases as they are."""
        parts = self._parts
        return {
            parts.photo: None,
            parts.asked: None,
            parts.picture: NOTHING_YET,
            parts.table: "",
            parts.status: "",
            parts.heat_of: gr.update(visible=False),
            parts.save_picture: gr.update(interactive=False),
            parts.save_record: gr.update(interactive=False),
        }

    def pick(self, values: Values, event: gr.SelectData) -> Values:
        """An example was picked: ask its phrases of it."""
        example = self._examples[event.index]
        photo = self._answerer.receive(example.path)
        text = "\n".join(example.phrases)
        asked = self.ask({**values, self._parts.photo: photo, self._parts.phrases: text})
        return {self._parts.upload: None, self._parts.photo: photo, self._parts.phrases: text, **asked}

    def ask(self, values: Values) -> Values:
        """Find was pressed."""
        parts = self._parts
        if values[parts.photo] is None:
            raise InputError("there is no photo yet: drop one, or pick an example")
        asked = Asked(values[parts.photo], phrases_of(values[parts.phrases]))
        several = len(asked.phrases) > 1
        menu = [(f"{index + 1} {shortened(phrase)}", str(index)) for index, phrase in enumerate(asked.phrases)]
        answer = self.redraw({**values, parts.asked: asked, parts.heat_of: "0"})
        return {
            **answer,
            parts.asked: asked,
            parts.heat_of: gr.update(choices=[*menu, ("all, the hottest", ALL)], value="0", visible=several),
            parts.save_picture: gr.update(interactive=True),
            parts.save_record: gr.update(interactive=True),
        }

    def change_method(self, values: Values) -> Values:
        """Another method answers, with its own way to boxes."""
        parts = self._parts
        method = self._answerer.methods[values[parts.method]]
        own = method.extraction
        chosen: Values = {parts.extraction: None}
        if own is not None:
            chosen = {parts.extraction: own.method, parts.relative: own.relative, parts.offset: own.offset}
        answer = self.redraw({**values, **chosen})
        visible = self._visible(chosen[parts.extraction])
        updates = {part: gr.update(visible=visible[part]) for part in visible}
        for part, value in chosen.items():
            updates[part]["value"] = value
        updates[parts.extraction]["choices"] = [(name, name) for name in method.extractions]
        return {**answer, **updates}

    def change_extraction(self, values: Values) -> Values:
        """Boxes are made in another way, whose parameters become visible."""
        visible = self._visible(values[self._parts.extraction])
        return {**self.redraw(values), **{part: gr.update(visible=seen) for part, seen in visible.items()}}

    def redraw(self, values: Values) -> Values:
        """A control was moved: the same question again, which is answered from what is kept."""
        parts, asked = self._parts, values[self._parts.asked]
        if asked is None:
            return {parts.status: ""}  # Gradio takes no empty answer
        choice = self._choice(values)
        found = self._answerer.found(asked.photo, asked.phrases, choice)
        picture = self._drawn(asked, found, values, SHOWN_SIDE)
        description = f"{asked.photo.name} with the heatmap and boxes of: {', '.join(asked.phrases)}"
        count = sum(len(one.scores) for one in found)
        sentence = f"{asked.photo.name}, {choice.method}: {count} {'box' if count == 1 else 'boxes'}."
        return {
            parts.picture: picture_of(picture, description),
            parts.table: table_of(found),
            parts.status: said(sentence),
        }

    def write_picture(self, values: Values) -> Values:
        """The picture as a file, as large as the photo within reason."""
        asked = self._asked(values)
        found = self._answerer.found(asked.photo, asked.phrases, self._choice(values))
        picture = self._drawn(asked, found, values, saved_side(self._answerer.pixels(asked.photo)))
        return {
            self._parts.download: _file(f"{Path(asked.photo.name).stem}_grounded.png", "image/png", as_png(picture))
        }

    def write_record(self, values: Values) -> Values:
        """The boxes as a file."""
        asked, choice = self._asked(values), self._choice(values)
        found = self._answerer.found(asked.photo, asked.phrases, choice)
        text = record(asked.photo, found, self._answerer.methods[choice.method], choice)
        name = f"{Path(asked.photo.name).stem}_grounded.json"
        return {self._parts.download: _file(name, "application/json", text.encode())}

    def _asked(self, values: Values) -> Asked:
        """What the session is looking at.

        Raises:
            InputError: the server has forgotten it, since many others have come meanwhile.
        """
        asked: Asked | None = values[self._parts.asked]
        if asked is None:
            raise InputError("the server no longer holds your photo: drop it again, then Find")
        return asked

    def _uploaded(self, path: Path) -> Path:
        """The path, which a client may have made up, unless it leads out of the folder of uploads.

        Raises:
            InputError: it does.
        """
        if not path.resolve().is_relative_to(Path(self._parts.upload.GRADIO_CACHE).resolve()):
            raise InputError("this file was not uploaded: drop it on the page")
        return path

    def _drawn(self, asked: Asked, found: Sequence[Found], values: Values, side: int) -> Any:
        chosen = values[self._parts.heat_of]
        # A slider may be moved before the menu has followed a question with fewer phrases.
        heat_of = None if chosen == ALL else min(int(chosen), len(found) - 1)
        return draw(self._answerer.pixels(asked.photo), found, heat_of=heat_of,
                    opacity=_number(values, self._parts.opacity), side=side)  # fmt: skip

    def _choice(self, values: Values) -> Choice:
        parts = self._parts
        extraction = values[parts.extraction]
        # Find may be pressed before the menu has followed a change of the method.
        offered = extraction in self._answerer.methods[values[parts.method]].extractions
        relative, offset, lowest_score, most_boxes = (
            _number(values, part) for part in (parts.relative, parts.offset, parts.lowest_score, parts.most_boxes)
        )
        return Choice(values[parts.method], extraction if offered else None, relative, offset, lowest_score,
                      int(most_boxes))  # fmt: skip

    def _visible(self, extraction: str | None) -> dict[Any, bool]:
        """Which controls of the extraction have a meaning."""
        parts = self._parts
        return {
            parts.extraction: extraction is not None,
            parts.relative: extraction == "components",
            parts.offset: extraction == "rectangle",
        }


def _number(values: Values, slider: gr.Slider) -> float:
    """The slider's value, within its range whatever was typed beside it.

    Raises:
        InputError: the field beside it was emptied.
    """
    if values[slider] is None:
        raise InputError(f"{slider.label!r} has no value: type a number, or move the slider")
    return float(min(max(values[slider], slider.minimum), slider.maximum))


def _file(name: str, kind: str, content: bytes) -> dict[str, str]:
    """A file for the browser, which `page.SAVE` hands to the user: none stays on the server's disk."""
    return {"name": name, "content": f"data:{kind};base64,{b64encode(content).decode()}"}
