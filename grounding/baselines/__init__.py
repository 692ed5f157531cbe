"""Methods to compare with, each behind the Grounder protocol."""
