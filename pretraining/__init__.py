"""Training of the weights that the library embeds, from nothing; nothing in the library imports it."""
