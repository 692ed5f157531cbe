"""What the page looks like: fonts of the reader's own system, since others would have to be downloaded."""

from __future__ import annotations

from gradio.themes import Base

CSS = """
.gradio-container { max-width: 1320px !important; margin: 0 auto !important; }
.gradio-container .main { padding-top: 12px; }
#title .html-container, #status .html-container, #answer .html-container, #boxes .html-container { padding: 0; }
#title h1 { margin: 0; font-size: 1.4rem; font-weight: 650; }
#title p { margin: 2px 0 0; font-size: 0.85rem; color: var(--body-text-color-subdued); }

#examples .grid-wrap { height: auto !important; min-height: 0; max-height: none; padding-top: 30px; overflow: visible; }
#examples .grid-container { grid-template-columns: repeat(4, minmax(0, 1fr)); width: 100%; }
#examples .gallery-item, #examples .thumbnail-item { width: 100%; }
#examples { min-height: 0; }
#method label, #extraction label { padding: 5px 10px; }

#answer .empty, #answer img.answer { border-radius: 6px; background: var(--background-fill-secondary); }
#answer .empty {
  display: flex; align-items: center; justify-content: center; height: 560px;
  border: 1px dashed var(--border-color-primary); color: var(--body-text-color-subdued);
}
#answer img.answer { display: block; width: auto; height: auto; max-width: 100%; max-height: 64vh; margin: 0 auto; }

#status { min-height: 1.6em; }
.status { margin: 0; line-height: 1.6; color: var(--body-text-color-subdued); }
.status.refused { color: #b42318; font-weight: 600; }
.dark .status.refused { color: #fda29b; }

table.boxes { width: 100%; border-collapse: collapse; font-size: 0.9rem; }
table.boxes th, table.boxes td {
  padding: 5px 8px; text-align: right; border-bottom: 1px solid var(--border-color-primary);
  font-variant-numeric: tabular-nums;
}
table.boxes th { color: var(--body-text-color-subdued); font-weight: 600; }
table.boxes .phrase, table.boxes th:nth-child(2), table.boxes .none { text-align: left; overflow-wrap: anywhere; }
table.boxes .phrase { width: 60%; }
table.boxes .mark { width: 2.4em; }
table.boxes .mark i {
  display: inline-block; min-width: 1.6em; border-radius: 4px; color: #1a1a1a; font-style: normal; font-weight: 600;
  text-align: center;
}
"""


def theme() -> Base:
    """Gradio's plainest theme, blue as the first phrase's boxes, without any font that would be loaded."""
    own = Base(
        primary_hue="sky", neutral_hue="slate", font=("system-ui", "Segoe UI", "Roboto", "Helvetica", "sans-serif"),
        font_mono=("ui-monospace", "Menlo", "Consolas", "monospace"),
    )  # fmt: skip
    return own.set(
        button_primary_background_fill="#0369a1", button_primary_background_fill_hover="#075985",
        button_primary_background_fill_dark="#0284c7", button_primary_text_color="white",
        block_label_background_fill="*background_fill_primary", block_label_text_color="*body_text_color_subdued",
    )  # fmt: skip
