"""Boxes that may hold something, whatever it is: what a detector finds, for CLIP to choose from."""
