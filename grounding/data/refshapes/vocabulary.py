"""What RefShapes objects look like, the words for it, and which combinations training never shows."""

from __future__ import annotations

from types import MappingProxyType

from grounding.data.relations import CONNECTORS

COLOURS = MappingProxyType(
    {
        "red": (205, 40, 40),
        "green": (45, 150, 60),
        "blue": (45, 80, 205),
        "yellow": (238, 208, 45),
        "purple": (125, 55, 165),
        "orange": (240, 130, 30),
        "pink": (246, 152, 192),
        "cyan": (60, 202, 215),
        "brown": (118, 74, 40),
        "white": (244, 244, 244),
    }
)
SHAPES = ("circle", "square", "triangle", "star", "ring", "cross", "heart", "diamond")
TEXTURES = ("plain", "striped", "dotted")
SIZES = ("small", "large")

# Pairs of colour and shape that no training or validation scene contains and no pretraining caption names: the
# test split's "novel" subset. Each colour and each shape still occurs in training with other partners.
NOVEL_PAIRS = frozenset(
    {
        ("red", "star"),
        ("green", "ring"),
        ("blue", "heart"),
        ("yellow", "square"),
        ("purple", "triangle"),
        ("orange", "cross"),
        ("pink", "circle"),
        ("cyan", "diamond"),
        ("brown", "ring"),
        ("white", "heart"),
    }
)

# The first word is the plain one; the others are synonyms, drawn less often.
ADJECTIVES = MappingProxyType(
    {
        **{colour: (colour,) for colour in COLOURS},
        "purple": ("purple", "violet"),
        "cyan": ("cyan", "turquoise"),
        "plain": ("plain", "solid"),
        "striped": ("striped", "stripy"),
        "dotted": ("dotted", "spotted"),
        "small": ("small", "little", "tiny"),
        "large": ("large", "big", "huge"),
    }
)
NOUNS = MappingProxyType(
    {
        **{shape: (shape,) for shape in SHAPES},
        "circle": ("circle", "disc"),
        "square": ("square", "box"),
        "ring": ("ring", "hoop"),
        "cross": ("cross", "plus sign"),
        "diamond": ("diamond", "rhombus"),
    }
)
ANY_NOUN = ("thing", "shape", "object", "one")
TEXTURE_CLAUSES = MappingProxyType({"striped": "with stripes", "dotted": "with dots", "plain": "without a pattern"})
RELATION_PHRASES = CONNECTORS
