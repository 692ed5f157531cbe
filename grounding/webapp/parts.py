"""The page's components and where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import cv2
import gradio as gr
import numpy as np

from grounding.data.images import SUFFIXES
from grounding.webapp.examples import ExampleImage
from grounding.webapp.markup import NOTHING_YET, escaped
from grounding.webapp.methods import Method
from grounding.webapp.uploads import MOST_PHRASES, pixels_of

THUMBNAIL, LONGEST = 160, 1600  # pixels of the shorter side, and of the longer one at most


@dataclass(frozen=True, eq=False)
class Parts:
    """What handlers read and write; `photo` and `asked` belong to one session each."""

    photo: gr.State
    asked: gr.State
    upload: gr.File
    examples: gr.Gallery
    phrases: gr.Textbox
    ask: gr.Button
    method: gr.Radio
    extraction: gr.Radio
    relative: gr.Slider
    offset: gr.Slider
    most_boxes: gr.Slider
    lowest_score: gr.Slider
    heat_of: gr.Dropdown
    opacity: gr.Slider
    picture: gr.HTML
    table: gr.HTML
    status: gr.HTML
    save_picture: gr.Button
    save_record: gr.Button
    download: gr.JSON

    @property
    def all(self) -> list[gr.components.Component]:
        """Every component."""
        return [getattr(self, field.name) for field in fields(self)]

    @property
    def given(self) -> list[gr.components.Component]:
        """What handlers read: the session's states and what its user sets, but no answer, which is large."""
        answers = (self.examples, self.ask, self.picture, self.table, self.status, self.save_picture, self.save_record,
                   self.download)  # fmt: skip
        return [part for part in self.all if part not in answers]


def lay_out(methods: Sequence[Method], examples: Sequence[ExampleImage], *, subtitle: str) -> Parts:
    """Make the components in the `gr.Blocks` that is open, set as the first method has them."""
    first = methods[0]
    own = first.extraction
    gr.HTML(f"<h1>Visual grounding</h1><p>{escaped(subtitle)}</p>", elem_id="title", apply_default_css=False)
    made: dict[str, gr.components.Component] = {"photo": gr.State(None), "asked": gr.State(None)}
    with gr.Row():
        with gr.Column(scale=4, min_width=340):
            made["upload"] = gr.File(label="Photo", file_types=sorted(SUFFIXES), height=140, elem_id="upload")
            made["examples"] = gr.Gallery(
                [_thumbnail(example) for example in examples], label="Examples", columns=4, height="auto",
                object_fit="cover", allow_preview=False, buttons=[], interactive=False, elem_id="examples",
                visible=bool(examples),
            )  # fmt: skip
            made["phrases"] = gr.Textbox(
                label="Phrases", info=f"One a line, at most {MOST_PHRASES}; Shift + Enter asks.", lines=3, max_lines=7,
                placeholder="the woman in the red coat\na parked bicycle", elem_id="phrases",
            )  # fmt: skip
            made["ask"] = gr.Button("Find", variant="primary", elem_id="ask")
            names = [method.grounder.name for method in methods]
            made["method"] = gr.Radio(names, value=names[0], label="Method", elem_id="method")
            with gr.Group():
                made["extraction"] = gr.Radio(
                    list(first.extractions), value=own.method if own else None, visible=own is not None,
                    label="Boxes from the heatmap", elem_id="extraction",
                )  # fmt: skip
                made["relative"] = gr.Slider(
                    0.05, 0.95, own.relative if own else 0.5, step=0.01, label="Threshold, as a share of the maximum",
                    visible=own is not None and own.method == "components", elem_id="relative",
                )  # fmt: skip
                made["offset"] = gr.Slider(
                    0.05, 0.95, own.offset if own else 0.5, step=0.01, label="Heat that speaks for a box, as a share",
                    visible=own is not None and own.method == "rectangle", elem_id="offset",
                )  # fmt: skip
                made["most_boxes"] = gr.Slider(1, 10, 1, step=1, label="Boxes per phrase", elem_id="most_boxes")
                made["lowest_score"] = gr.Slider(0, 1, 0, step=0.01, label="Lowest score", elem_id="lowest_score")
        with gr.Column(scale=7, min_width=420):
            made["status"] = gr.HTML("", elem_id="status", apply_default_css=False)
            made["picture"] = gr.HTML(NOTHING_YET, elem_id="answer", apply_default_css=False)
            with gr.Row():
                made["opacity"] = gr.Slider(0, 1, 0.55, step=0.01, label="Heatmap's opacity", elem_id="opacity")
                made["heat_of"] = gr.Dropdown([], label="Heatmap of", visible=False, elem_id="heat_of")
            made["table"] = gr.HTML("", elem_id="boxes", apply_default_css=False)
            with gr.Row():
                made["save_picture"] = gr.Button("Save picture (PNG)", interactive=False, elem_id="save_picture")
                made["save_record"] = gr.Button("Save boxes (JSON)", interactive=False, elem_id="save_record")
            made["download"] = gr.JSON(visible="hidden")
    return Parts(**made)  # type: ignore[arg-type]


def _thumbnail(example: ExampleImage) -> np.ndarray:
    image = pixels_of(example.path)
    scale = min(THUMBNAIL / min(image.shape[:2]), LONGEST / max(image.shape[:2]))
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
