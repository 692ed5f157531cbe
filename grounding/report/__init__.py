"""A comparison of grounding methods as tables, plots, galleries and one self-contained page."""
