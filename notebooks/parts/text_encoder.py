class TextEncoder:
    """The text tower with a memory: each distinct phrase is encoded once."""

    def __init__(self, clip):
        self._model, self._known = clip.model, {}
        self.device = self._model.text_projection.device
        self.token_width = 2 * self._model.text_projection.shape[0]

    def __call__(self, phrases):
        """`PhraseFeatures` of P phrases."""
        self._known |= encode_distinct(self._model, [p for p in dict.fromkeys(phrases) if p not in self._known])
        return phrase_features(self._model, [self._known[phrase] for phrase in phrases])
