"""What the page looks like: fonts of the reader's own system, since others would have to come from somewhere."""

from __future__ import annotations

from pathlib import Path

from gradio.themes import Base, colors
from gradio.themes.utils.fonts import Font

STYLE = Path(__file__).with_name("page.css")


def theme() -> Base:
    """Gradio's plainest theme, blue as the first phrase's boxes, without any font that would be loaded."""
    own = Base(
        primary_hue=colors.sky,
        neutral_hue=colors.slate,
        font=[
            Font("system-ui"),
            Font("Segoe UI"),
            Font("Roboto"),
            Font("Helvetica"),
            Font("Arial"),
            Font("sans-serif"),
        ],
        font_mono=[Font("ui-monospace"), Font("Menlo"), Font("Consolas"), Font("monospace")],
    )
    return own.set(
        button_primary_background_fill="#0369a1",
        button_primary_background_fill_hover="#075985",
        button_primary_background_fill_dark="#0284c7",
        button_primary_text_color="white",
        block_label_background_fill="*background_fill_primary",
        block_label_text_color="*body_text_color_subdued",
    )
