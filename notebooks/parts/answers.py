from collections import namedtuple

Grounding = namedtuple("Grounding", "phrase boxes_xyxy scores heatmap presence")  # boxes best first; presence in [0, 1]


@torch.inference_mode()
def ground(encoder, decoder, view, phrases, *, relative=0.6):
    """Where each phrase is in one encoded image: `Grounding`s by a decoder, adapters, or CLIP's own map (None)."""
    asked, image_index = encoder.encode_phrases(phrases), torch.zeros(len(phrases), dtype=torch.long, device=DEVICE)
    features = DenseFeatures({stage: values.float() for stage, values in view.features.pyramid.items()},
                             view.features.embeddings.float())  # fmt: skip
    if isinstance(decoder, HeatmapDecoder):
        valid = view.valid_mask(decoder.heatmap_stride)[image_index]
        heat, presence = decoder.answer(features, asked, image_index, valid)
    else:
        valid = view.valid_mask(encoder.dense.output_stride)[image_index]
        untrained = similarity_of(features.embeddings, asked.embeddings, image_index)
        maps = untrained if decoder is None else decoder(features, asked, image_index)
        heat, presence = min_max_normalize(maps, valid), maps.masked_fill(~valid, -1).amax(dim=(1, 2))
    answers = []
    for phrase, values, present in zip(phrases, heat.cpu().numpy(), presence.tolist(), strict=True):
        heatmap = view.letterboxes[0].map_to_image(values)
        boxes, scores = boxes_from_heatmap(heatmap, relative_threshold=relative)
        answers.append(Grounding(phrase, boxes, scores, heatmap, present))
    return answers


def dense_method(encoder, decoder, *, relative=0.6):
    """A method: from an example, and its frozen features where they are known, to `Grounding`s."""
    seen = updated_encoder(encoder, decoder)  # another CLIP, where a decoder updates it: other features

    def answer(example, view=None):
        known = view is not None and seen is encoder
        return ground(seen, decoder, view if known else seen.encode([example.image]), example.texts, relative=relative)

    return answer
