"""Many images, one after the other: a stream of requests in, boxes out, and no heatmap kept."""

from grounding.methods.stream import GroundedImage, GroundedPhrase, Request, ground_many

__all__ = ["GroundedImage", "GroundedPhrase", "Request", "ground_many"]
