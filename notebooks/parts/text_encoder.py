from torch.nn.utils.rnn import pad_sequence


class TextEncoder:
    """The text tower with a memory: each distinct phrase is encoded once."""

    def __init__(self, clip):
        self._model, self._known = clip.model, {}
        self.device = self._model.text_projection.device
        self.token_width = 2 * self._model.text_projection.shape[0]

    @torch.no_grad()
    def __call__(self, phrases):
        """`PhraseFeatures` of P phrases, at least one."""
        new = [phrase for phrase in dict.fromkeys(phrases) if phrase not in self._known]
        for some in (new[start : start + 256] for start in range(0, len(new), 256)):
            ids = clip.tokenize(some).long()
            lengths = ids.argmax(dim=-1) + 1  # the end token has the highest id
            ids = ids[:, : lengths.max()].to(self.device)
            embeddings, states = text_states(self._model, ids)
            embeddings = F.normalize(embeddings, dim=-1)
            for row, (phrase, length) in enumerate(zip(some, lengths, strict=True)):
                self._known[phrase] = ids[row, :length], embeddings[row], states[row, :length].half()
        ids, embeddings, states = zip(*(self._known[phrase] for phrase in phrases), strict=True)
        is_token = pad_sequence([torch.ones_like(each) for each in ids], batch_first=True).bool()
        words = self._model.token_embedding(pad_sequence(ids, batch_first=True))
        words = F.layer_norm(words, words.shape[-1:]) * is_token[..., None]
        states = pad_sequence(states, batch_first=True).float()
        return PhraseFeatures(torch.stack(embeddings), torch.cat([words, states], dim=-1), is_token)
