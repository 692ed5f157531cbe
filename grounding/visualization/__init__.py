"""Pictures of a method at work: what it is asked (`asking`), what it answers, and how the answer comes about."""
