"""CLIP's tokenizer for the `tokenizers` library: one JSON file, read without PyTorch and from other languages too.

The `clip` package's tokenizer repairs a text with ftfy before it splits it. Of these repairs the file holds those that
replace characters (quotation marks, ligatures, full-width letters) and spaces. What would have to guess stays undone:
text that was decoded wrongly ("cafÃ©") and HTML entities ("&amp;").
"""

from __future__ import annotations

from ftfy.chardata import DOUBLE_QUOTE_RE, LIGATURES, SINGLE_QUOTE_RE, WIDTH_MAP
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.processors import TemplateProcessing

from grounding.clip.package import SimpleTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
# As in the `clip` package, simple_tokenizer.py, without the two tokens above, which the library finds by itself.
WORDS = r"(?i)'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def clip_to_tokenizers() -> Tokenizer:
    """The tokenizer that gives `clip.tokenize`'s ids: start token, words, end token, zeros up to the longest phrase."""
    theirs = SimpleTokenizer()
    tokenizer = Tokenizer(BPE(vocab=theirs.encoder, merges=list(theirs.bpe_ranks), end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence(
        [
            *(normalizers.Replace(chr(code), plain) for code, plain in (LIGATURES | WIDTH_MAP).items()),
            normalizers.Replace(Regex(SINGLE_QUOTE_RE.pattern), "'"),
            normalizers.Replace(Regex(DOUBLE_QUOTE_RE.pattern), '"'),
            normalizers.NFC(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
            normalizers.Lowercase(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.add_special_tokens([START, END])
    ends = [(token, theirs.encoder[token]) for token in (START, END)]
    tokenizer.post_processor = TemplateProcessing(single=f"{START} $A {END}", special_tokens=ends)
    tokenizer.enable_padding(pad_id=0, pad_token="!")
    return tokenizer
