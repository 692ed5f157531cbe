"""The page put together: components, and which handler each of them calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from grounding.webapp.answers import Answerer
from grounding.webapp.events import Handlers
from grounding.webapp.examples import ExampleImage
from grounding.webapp.parts import lay_out
from grounding.webapp.telling import in_words

AT_ONCE = 4  # handlers that run: while the models are busy for one, others' boxes are made and drawn
WAITING = 200  # more than that are turned away
KEPT_SECONDS = 24 * 3600  # for which an uploaded file stays on the server's disk, looked at every hour
SAVE = """(file) => {
  if (file) {
    const link = document.createElement('a');
    link.href = file.content;
    link.download = file.name;
    link.click();
  }
  return null;
}"""


def build_page(answerer: Answerer, examples: Sequence[ExampleImage], *, subtitle: str) -> gr.Blocks:
    """The page as Gradio serves it."""
    with gr.Blocks(title="Visual grounding", analytics_enabled=False, delete_cache=(3600, KEPT_SECONDS)) as page:
        parts = lay_out(list(answerer.methods.values()), examples, subtitle=subtitle)
        handlers = Handlers(answerer, examples, parts)
        everything: dict[str, Any] = {
            "inputs": set(parts.all),
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
            written.then(None, parts.download, parts.download, js=SAVE, api_visibility="private")
    page.queue(max_size=WAITING)
    return page
