@torch.inference_mode()
def ground(encoder, decoder, view, image, phrases, *, relative=0.6):
    """Where each phrase is in one encoded image: `Grounding`s by a decoder, adapters, or CLIP's own map (None)."""
    asked, image_index = encoder.encode_phrases(phrases), torch.zeros(len(phrases), dtype=torch.long, device=DEVICE)
    features = DenseFeatures({stage: values.float() for stage, values in view.features.pyramid.items()},
                             view.features.embeddings.float())  # fmt: skip
    if isinstance(decoder, HeatmapDecoder):
        valid = view.valid_mask(decoder.heatmap_stride)[image_index]
        heat, presence = decoder.answer(features, asked, image_index, valid)
    else:
        valid = view.valid_mask(encoder.dense.output_stride)[image_index]
        if decoder is None:
            maps = similarity_of(features.embeddings, asked.embeddings, image_index)
        else:
            maps = decoder(features, asked, image_index)
        heat, presence = min_max_normalize(maps, valid), maps.masked_fill(~valid, -1).amax(dim=(1, 2))
    answers = []
    for phrase, values, present in zip(phrases, heat.cpu().numpy(), presence.tolist(), strict=True):
        heatmap = view.letterboxes[0].map_to_image(values)
        boxes, scores = boxes_from_heatmap(heatmap, relative_threshold=relative)
        answers.append(Grounding(phrase, boxes, scores, heatmap, image, presence=present))
    return answers


def dense_method(decoder, *, relative):
    """A method: from an example and its frozen features to `Grounding`s; updates of CLIP are added to a copy of it."""
    seen = updated_encoder(TESTING, decoder)

    def answer(example, view):
        view = view if seen is TESTING else seen.encode([example.image])
        return ground(seen, decoder, view, example.image, example.texts, relative=relative)

    return answer
