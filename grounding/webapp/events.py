"""What happens when the page is used: each handler answers the session that called it, and keeps nothing itself.

Gradio keeps, for each session, the values that its components had last, in memory.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from grounding.extraction import ExtractionConfig
from grounding.runtime.errors import InputError
from grounding.types import Grounding
from grounding.webapp import pictures
from grounding.webapp.answers import Answerer, about, controls_of, extraction_of, extractions_of
from grounding.webapp.uploads import ExampleImage, Photo, phrases_of, receive

if TYPE_CHECKING:
    from grounding.webapp.page import Components

UNEXPECTED = "that did not work, through no fault of yours: the terminal that serves this page says why"
Values = dict[Any, Any]  # of components, by component


@dataclass(frozen=True)
class Question:
    """What a session is looking at, and what was asked of it: at least one phrase."""

    photo: Photo
    phrases: tuple[str, ...]


def in_words(handler: Callable[..., Values], status: Any) -> Callable[..., Values]:
    """The handler, with mistakes told in the component `status`; all other components stay as they are."""

    @wraps(handler)
    def explaining(*arguments: Any) -> Values:
        try:
            return handler(*arguments)
        except InputError as error:
            return {status: pictures.error_line(str(error))}
        except Exception:  # a page that other people use has to go on
            logging.getLogger(__name__).exception("%s failed", handler.__name__)
            return {status: pictures.error_line(UNEXPECTED)}

    return explaining


@dataclass(frozen=True, eq=False)
class Handlers:
    """The handlers of one page, whose gallery shows the examples in this order."""

    answerer: Answerer
    examples: Sequence[ExampleImage]
    ui: Components
    max_pixels: int

    def take(self, values: Values) -> Values:
        """A photo was dropped: show it."""
        ui, at_first, path = self.ui, self.forget(values), Path(values[self.ui.upload]["path"])
        try:
            # A client may have made up the path.
            if not path.resolve().is_relative_to(Path(ui.upload.GRADIO_CACHE).resolve()):
                raise InputError("this file was not uploaded: drop it on the page")
            photo = receive(path, max_pixels=self.max_pixels)
        except InputError as error:
            return {**at_first, ui.upload: None, ui.status: pictures.error_line(str(error))}
        sentence = f"{photo.name}, {photo.size[0]} x {photo.size[1]} pixels. Type what to look for, then Find."
        return {
            **at_first,
            ui.photo: photo,
            ui.picture: pictures.image_element(pictures.draw(photo, []), f"the photo {photo.name}"),
            ui.status: pictures.status_line(sentence),
        }

    def forget(self, _: Values) -> Values:
        """The photo was removed: back to the beginning, with the phrases as they are."""
        ui = self.ui
        return {
            ui.photo: None,
            ui.question: None,
            ui.picture: pictures.NOTHING_YET,
            ui.table: "",
            ui.status: "",
            ui.save_record: gr.update(interactive=False),
        }

    def pick(self, values: Values, event: gr.SelectData) -> Values:
        """An example was picked: ask its phrases of it."""
        example = self.examples[event.index]
        given = {
            self.ui.photo: receive(example.path, max_pixels=self.max_pixels),
            self.ui.phrases: "\n".join(example.phrases),
            self.ui.upload: None,
        }
        return {**given, **self.ask({**values, **given})}

    def ask(self, values: Values) -> Values:
        """Find was pressed."""
        ui = self.ui
        if values[ui.photo] is None:
            raise InputError("there is no photo yet: drop one, or pick an example")
        question = Question(values[ui.photo], phrases_of(values[ui.phrases]))
        return {
            **self.redraw({**values, ui.question: question}),
            ui.question: question,
            ui.save_record: gr.update(interactive=True),
        }

    def change_method(self, values: Values) -> Values:
        """Another method answers, with its own way to boxes."""
        ui, method = self.ui, self.answerer.methods[values[self.ui.method]]
        menu, threshold = controls_of(method)
        chosen = {ui.extraction: menu["value"], ui.relative: threshold["value"]}
        return {
            **self.redraw({**values, **chosen}),
            ui.extraction: gr.update(**menu),
            ui.relative: gr.update(**threshold),
            ui.about: pictures.status_line(about(method)),
        }

    def change_extraction(self, values: Values) -> Values:
        """Boxes are made in another way, whose parameter becomes visible."""
        ui = self.ui
        return {**self.redraw(values), ui.relative: gr.update(visible=values[ui.extraction] == "components")}

    def redraw(self, values: Values) -> Values:
        """A control was moved: the same question again, which is answered from what is kept."""
        ui, question = self.ui, values[self.ui.question]
        if question is None:
            return {ui.status: ""}  # Gradio takes no empty answer
        answers, _ = self._answers(question, values)
        picture = pictures.draw(question.photo, answers, opacity=_number(values, ui.opacity))
        description = f"{question.photo.name} with the heatmap and boxes of: {', '.join(question.phrases)}"
        count = sum(len(one.found) for one in answers)
        sentence = f"{question.photo.name}, {values[ui.method]}: {count} {'box' if count == 1 else 'boxes'}."
        absent = ", ".join(f'"{one.phrase}"' for one in answers if not one.found)
        if absent:
            sentence += f" {pictures.ABSENT.capitalize()}: {absent}."
        return {
            ui.picture: pictures.image_element(picture, description),
            ui.table: pictures.box_table(answers),
            ui.status: pictures.status_line(sentence, answers[0].warning),  # of the image: the same for every phrase
        }

    def write_record(self, values: Values) -> Values:
        """The boxes as a file for the browser, which `page.SAVE` hands to the user: none stays on the server's disk."""
        question: Question | None = values[self.ui.question]
        if question is None:  # many others have come meanwhile
            raise InputError("the server no longer holds your photo: drop it again, then Find")
        answers, extraction = self._answers(question, values)
        text = pictures.as_json(question.photo, answers, self.answerer.methods[values[self.ui.method]], extraction)
        content = f"data:application/json;base64,{b64encode(text.encode()).decode()}"
        return {self.ui.download: {"name": f"{Path(question.photo.name).stem}_grounded.json", "content": content}}

    def _answers(self, question: Question, values: Values) -> tuple[list[Grounding], ExtractionConfig | None]:
        """And how their boxes were made; None where they are proposals."""
        ui, name = self.ui, values[self.ui.extraction]
        method = self.answerer.methods[values[ui.method]]
        relative, extraction = _number(values, ui.relative), extraction_of(method)
        # Find may be pressed before the menu has followed a change of the method.
        if extraction is not None and name in extractions_of(method):
            extraction = replace(extraction, method=name, relative=relative)
        return self.answerer.ask(question.photo, question.phrases, method.name, extraction), extraction


def _number(values: Values, slider: gr.Slider) -> float:
    """The slider's value, within its range whatever was typed beside it; the field beside it may have been emptied."""
    if values[slider] is None:
        raise InputError(f"{slider.label!r} has no value: type a number, or move the slider")
    return float(min(max(values[slider], slider.minimum), slider.maximum))
