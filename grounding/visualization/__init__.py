"""Pictures of a method at work, and of a comparison: what was asked, what was answered, and how good it is."""
