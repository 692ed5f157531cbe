def tokenize(phrases):
    """Token ids (N, 77) int64 of phrases, zero after the end token."""
    return clip.tokenize(phrases, context_length=CONTEXT_LENGTH).long()
