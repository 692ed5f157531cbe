"""What objects of RefShapes look like, the words for it, and which combinations training never shows."""

from __future__ import annotations

from grounding.data.relations import CONNECTORS

COLOURS = {
    "red": (205, 40, 40),
    "green": (45, 150, 60),
    "blue": (45, 80, 205),
    "yellow": (238, 208, 45),
    "purple": (125, 55, 165),
    "orange": (240, 130, 30),
    "pink": (246, 152, 192),
    "cyan": (60, 202, 215),
    "brown": (118, 74, 40),
    "white": (240, 240, 240),
    "black": (34, 34, 38),
    "gray": (134, 136, 140),
}
SHAPES = (
    "circle", "square", "triangle", "star", "ring", "cross", "heart", "diamond",
    "hexagon", "crescent", "arrow", "drop", "flower", "leaf", "house", "fish",
)  # fmt: skip
TEXTURES = ("plain", "striped", "dotted", "checked", "zigzag", "marbled")
MATERIALS = ("matte", "shiny", "glass")

# Pairs of colour and shape that no training or validation scene contains: the test split's "novel" subset. Each
# colour and each shape still occurs in training with other partners.
NOVEL_PAIRS = frozenset({
    ("red", "star"), ("green", "ring"), ("blue", "heart"), ("yellow", "square"), ("purple", "triangle"),
    ("orange", "cross"), ("pink", "circle"), ("cyan", "diamond"), ("brown", "ring"), ("white", "heart"),
    ("black", "hexagon"), ("gray", "fish"), ("red", "leaf"), ("blue", "house"), ("yellow", "crescent"),
    ("purple", "arrow"), ("green", "drop"), ("orange", "flower"),
})  # fmt: skip

# The first word is the plain one; the others are synonyms, drawn less often.
ADJECTIVES = {
    **{colour: (colour,) for colour in COLOURS},
    "purple": ("purple", "violet"),
    "cyan": ("cyan", "turquoise"),
    "gray": ("gray", "grey"),
    "plain": ("plain", "solid"),
    "striped": ("striped", "stripy"),
    "dotted": ("dotted", "spotted"),
    "checked": ("checked", "checkered"),
    "zigzag": ("zigzag", "zigzagged"),
    "marbled": ("marbled", "mottled"),
    "matte": ("matte", "dull"),
    "shiny": ("shiny", "glossy", "metallic"),
    "glass": ("glass", "transparent"),
}
NOUNS = {
    **{shape: (shape,) for shape in SHAPES},
    "circle": ("circle", "disc"),
    "square": ("square", "box"),
    "ring": ("ring", "hoop"),
    "cross": ("cross", "plus sign"),
    "diamond": ("diamond", "rhombus"),
    "crescent": ("crescent", "moon"),
    "drop": ("drop", "teardrop"),
    "flower": ("flower", "blossom"),
}
# Of the nouns that do not just take an s.
PLURALS = {"box": "boxes", "cross": "crosses", "leaf": "leaves", "fish": "fishes", "rhombus": "rhombuses"}
ANY_NOUN = ("object", "thing", "shape", "one")
# What may follow the noun in the place of an adjective before it.
CLAUSES = {
    "plain": ("without a pattern",),
    "striped": ("with stripes", "with stripes on it"),
    "dotted": ("with dots", "covered in dots"),
    "checked": ("with a checkerboard pattern", "with checks on it"),
    "zigzag": ("with zigzag lines", "with a zigzag pattern"),
    "marbled": ("with a marbled pattern", "that looks like marble"),
    "matte": ("with a matte surface", "that does not shine"),
    "shiny": ("with a shiny surface", "that looks like metal"),
    "glass": ("made of glass", "that you can see through"),
}
# What ranks the objects that fit the rest of a description; "{}" takes the noun phrase.
RANKS: dict[str, tuple[str, ...]] = {
    "largest": ("the largest {}", "the biggest {}"),
    "smallest": ("the smallest {}", "the tiniest {}"),
    "leftmost": ("the leftmost {}", "the {} furthest to the left"),
    "rightmost": ("the rightmost {}", "the {} furthest to the right"),
    "topmost": ("the topmost {}", "the highest {}", "the {} closest to the top"),
    "lowest": ("the lowest {}", "the {} closest to the bottom"),
    "second from the left": ("the second {} from the left",),
    "second from the right": ("the second {} from the right",),
}
# The same where exactly two objects fit; "{}" takes a plural.
RANKS_OF_TWO = {
    "largest": ("the larger of the two {}", "the bigger of the two {}"),
    "smallest": ("the smaller of the two {}",),
    "leftmost": ("the left one of the two {}",),
    "rightmost": ("the right one of the two {}",),
    "topmost": ("the upper one of the two {}",),
    "lowest": ("the lower one of the two {}",),
}
SIZES: dict[str, tuple[str, ...]] = {"large": ("large", "big", "huge"), "small": ("small", "little", "tiny")}
PLACES: dict[str, tuple[str, ...]] = {
    "left": ("on the left", "on the left side of the picture"),
    "right": ("on the right", "on the right side of the picture"),
    "top": ("at the top", "near the top of the picture"),
    "bottom": ("at the bottom", "near the bottom of the picture"),
    "middle": ("in the middle", "in the center of the picture"),
    "top left": ("in the top left corner", "in the upper left"),
    "top right": ("in the top right corner", "in the upper right"),
    "bottom left": ("in the bottom left corner", "in the lower left"),
    "bottom right": ("in the bottom right corner", "in the lower right"),
}
RELATIONS: dict[str, tuple[str, ...]] = {
    **CONNECTORS,
    "front": ("in front of", "partly covering", "overlapping"),
    "behind": ("behind", "partly hidden by", "partly covered by"),
}
