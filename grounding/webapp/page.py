"""The page: its components, where they stand, and which handler each of them calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from grounding.data.images import SUFFIXES, read_image
from grounding.visualization.drawing import OPACITY
from grounding.webapp.answers import Answerer, PageMethod, about, controls_of
from grounding.webapp.events import Handlers, in_words
from grounding.webapp.guard import UploadsOnlyBlocks
from grounding.webapp.pictures import NOTHING_YET, status_line
from grounding.webapp.uploads import MOST_PHRASES, ExampleImage

STYLE = Path(__file__).with_name("page.css")
THUMBNAIL = (320, 320)  # pixels at most
AT_ONCE = 4  # handlers that run: while the models are busy for one, others' boxes are made and drawn
WAITING = 200  # questions of all users; more are turned away
TIDY_SECONDS, KEPT_SECONDS = 60, 3600  # between two looks for old uploads, and for which one stays
SAVE = """(file) => {
  if (file) {
    const link = document.createElement('a');
    link.href = file.content;
    link.download = file.name;
    link.click();
  }
  return null;
}"""


class Components:
    """What stands on the page, made in the open `gr.Blocks` and set as the first method has it; `photo` and `question`
    belong to one session each."""

    def __init__(self, methods: Sequence[PageMethod], examples: Sequence[ExampleImage]) -> None:
        names = [method.name for method in methods]
        menu, threshold = controls_of(methods[0])
        self.photo, self.question = gr.State(None), gr.State(None)
        sources = "Examples: " + "; ".join(dict.fromkeys(example.source for example in examples))
        gr.HTML("<h1>Visual grounding</h1>", elem_id="title", apply_default_css=False)
        with gr.Row():
            with gr.Column(scale=4, min_width=340, elem_id="asking"):
                self.upload = gr.File(label="Photo", file_types=sorted(SUFFIXES), height=140, elem_id="upload")
                self.examples = gr.Gallery(
                    [_thumbnail(example) for example in examples], label=sources, columns=4, height="auto",
                    object_fit="cover", allow_preview=False, buttons=[], interactive=False, elem_id="examples",
                    visible=bool(examples),
                )  # fmt: skip
                self.phrases = gr.Textbox(
                    label="Phrases", info=f"One a line, at most {MOST_PHRASES}; Shift + Enter asks.", lines=3,
                    max_lines=7, placeholder="the woman in the red coat\na parked bicycle", elem_id="phrases",
                )  # fmt: skip
                self.ask = gr.Button("Find", variant="primary", elem_id="ask")
                with gr.Group(elem_id="making"):
                    self.method = gr.Dropdown(names, value=names[0], label="Method", filterable=False, elem_id="method")
                    self.about = gr.HTML(status_line(about(methods[0])), padding=False, elem_id="about")
                    self.extraction = gr.Radio(**menu, label="Boxes from the heatmap", elem_id="extraction")
                    self.relative = gr.Slider(0.05, 0.95, **threshold, step=0.01, elem_id="relative",
                                              label="Threshold, as a share of the maximum")  # fmt: skip
            with gr.Column(scale=7, min_width=420, elem_id="answering"):
                self.status = gr.HTML("", elem_id="status", apply_default_css=False)
                self.picture = gr.HTML(NOTHING_YET, elem_id="answer", apply_default_css=False)
                self.opacity = gr.Slider(0, 1, OPACITY, step=0.01, label="Heatmap's opacity", elem_id="opacity")
                self.table = gr.HTML("", elem_id="boxes", apply_default_css=False)
                self.save_record = gr.Button("Save boxes (JSON)", interactive=False, elem_id="save_record")
                self.download = gr.JSON(visible="hidden")
        self.all: list[gr.components.Component] = list(vars(self).values())


def build_page(answerer: Answerer, examples: Sequence[ExampleImage], *, max_pixels: int) -> gr.Blocks:
    """The page, ready to be launched; its queue and the time for which uploads are kept are bounded."""
    with UploadsOnlyBlocks(
        title="Visual grounding", analytics_enabled=False, delete_cache=(TIDY_SECONDS, KEPT_SECONDS)
    ) as page:
        ui = Components(list(answerer.methods.values()), examples)
        handlers = Handlers(answerer, examples, ui, max_pixels=max_pixels)
        # The session's states and what its user sets, but no answer, which is large.
        given = {ui.photo, ui.question, ui.upload, ui.phrases, ui.method, ui.extraction, ui.relative, ui.opacity}
        # Gradio refuses an emptied number field without saying why; the handlers tell it in words.
        unchecked: dict[str, Any] = {"preprocess": False, "api_visibility": "private"}

        def on(event: Any, handler: Callable[..., Any], **options: Any) -> Any:
            return event(in_words(handler, ui.status), given, ui.all, concurrency_id="answers",
                         concurrency_limit=AT_ONCE, **unchecked, **options)  # fmt: skip

        on(ui.upload.upload, handlers.take, show_progress_on=ui.picture)
        on(ui.upload.clear, handlers.forget, show_progress="hidden")
        on(ui.examples.select, handlers.pick, show_progress_on=ui.picture)
        on(ui.ask.click, handlers.ask, show_progress_on=ui.picture)
        on(ui.phrases.submit, handlers.ask, show_progress_on=ui.picture)
        on(ui.method.input, handlers.change_method, show_progress_on=ui.picture)
        on(ui.extraction.input, handlers.change_extraction, show_progress="hidden")
        for slider in (ui.relative, ui.opacity):
            # While a slider moves, only its latest position is answered.
            on(slider.input, handlers.redraw, show_progress="hidden", trigger_mode="always_last")
        # The browser hands the file out and sends back nothing, which then takes the file's place on the server.
        on(ui.save_record.click, handlers.write_record, show_progress="hidden").then(
            lambda nothing: nothing, ui.download, ui.download, js=SAVE, show_progress="hidden", **unchecked
        )
    return page.queue(api_open=False, max_size=WAITING)


def theme() -> gr.themes.Base:
    """Gradio's plainest theme, blue as the first phrase's boxes, without any font that would be downloaded."""
    own = gr.themes.Base(
        primary_hue="sky", neutral_hue="slate", font=("system-ui", "Segoe UI", "Roboto", "Helvetica", "sans-serif"),
        font_mono=("ui-monospace", "Menlo", "Consolas", "monospace"),
    )  # fmt: skip
    return own.set(
        button_primary_background_fill="#0369a1", button_primary_background_fill_hover="#075985",
        button_primary_background_fill_dark="#0284c7", button_primary_text_color="white",
        block_label_background_fill="*background_fill_primary", block_label_text_color="*body_text_color_subdued",
    )  # fmt: skip


def _thumbnail(example: ExampleImage) -> Image.Image:
    image = Image.fromarray(read_image(example.path))
    image.thumbnail(THUMBNAIL)
    return image
