"""The page put together: components, and which handler each of them calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from gradio.exceptions import InvalidPathError

from grounding.webapp.answers import Answerer
from grounding.webapp.events import Handlers
from grounding.webapp.examples import ExampleImage
from grounding.webapp.fair_queue import FairQueue
from grounding.webapp.parts import lay_out
from grounding.webapp.telling import in_words

AT_ONCE = 4  # handlers that run: while the models are busy for one, others' boxes are made and drawn
ONLY_UPLOADED = "only uploaded files are taken"
SAVE = """(file) => {
  if (file) {
    const link = document.createElement('a');
    link.href = file.content;
    link.download = file.name;
    link.click();
  }
  return null;
}"""


class Page(gr.Blocks):
    """Blocks that reach for no other machine: Gradio would download a file that a client names by its address."""

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *rest: Any, **options: Any) -> list[Any]:
        """Refuse addresses before Gradio looks at what a client sent, and files that were not uploaded."""
        refusal = gr.Error(ONLY_UPLOADED, print_exception=False)
        if names_address(inputs):
            raise refusal
        try:
            return await super().preprocess_data(block_fn, inputs, *rest, **options)
        except InvalidPathError as error:
            raise refusal from error


def names_address(value: Any) -> bool:
    """Whether a value of JSON holds a file whose path is an address."""
    if isinstance(value, dict):
        return "://" in str(value.get("path")) or any(map(names_address, value.values()))
    return isinstance(value, list) and any(map(names_address, value))


def build_page(answerer: Answerer, examples: Sequence[ExampleImage], *, subtitle: str) -> gr.Blocks:
    """The page as Gradio serves it."""
    with Page(title="Visual grounding", analytics_enabled=False) as page:
        parts = lay_out(list(answerer.methods.values()), examples, subtitle=subtitle)
        handlers = Handlers(answerer, examples, parts)
        everything: dict[str, Any] = {
            "inputs": set(parts.given),
            "outputs": parts.all,
            # Gradio refuses an emptied number field without saying why; the handlers tell it in words.
            "preprocess": False,
            "api_visibility": "private",
            "concurrency_id": "answers",
            "concurrency_limit": AT_ONCE,
        }

        def on(event: Any, handler: Callable[..., Any], **options: Any) -> Any:
            return event(in_words(handler, parts.status), **everything, **options)

        on(parts.upload.upload, handlers.take, show_progress_on=parts.picture)
        on(parts.upload.clear, handlers.forget, show_progress="hidden")
        on(parts.examples.select, handlers.pick, show_progress_on=parts.picture)
        on(parts.ask.click, handlers.ask, show_progress_on=parts.picture)
        on(parts.phrases.submit, handlers.ask, show_progress_on=parts.picture)
        on(parts.method.input, handlers.change_method, show_progress_on=parts.picture)
        on(parts.extraction.input, handlers.change_extraction, show_progress="hidden")
        on(parts.heat_of.input, handlers.redraw, show_progress="hidden")
        for slider in (parts.relative, parts.offset, parts.most_boxes, parts.lowest_score, parts.opacity):
            # While a slider moves, only its latest position is answered.
            on(slider.input, handlers.redraw, show_progress="hidden", trigger_mode="always_last")
        for button, handler in (
            (parts.save_picture, handlers.write_picture),
            (parts.save_record, handlers.write_record),
        ):
            written = on(button.click, handler, show_progress="hidden")
            # The browser hands the file out and sends back nothing, which then takes the file's place on the server.
            written.then(lambda nothing: nothing, parts.download, parts.download, js=SAVE, preprocess=False,
                         show_progress="hidden", api_visibility="private")  # fmt: skip
    page.queue(api_open=False)
    page._queue = FairQueue(page)
    return page
