def accuracy(decoder, images, relative=0.6):
    """Acc@0.5 and pointing accuracy on a split's images, at the size of training."""
    seen, right, pointed = updated_encoder(images.encoder, decoder), [], []
    for index in images.chosen:
        example = images.dataset[index]
        view = images.view(index) if seen is images.encoder else seen.encode([example.image])
        answers = ground(seen, decoder, view, example.image, example.texts, relative=relative)
        for phrase, answer in zip(example.phrases, answers, strict=True):
            right.append(ious_with(answer.boxes_xyxy[:1], phrase.boxes_xyxy[0])[0] >= 0.5)
            pointed.append(point_inside(hottest_point(answer.heatmap), phrase.boxes_xyxy[0]))
    return {"Acc@0.5": float(np.mean(right)), "Pointing": float(np.mean(pointed))}


def validated(criterion, decoder, images, batch):
    """The losses of validation images and the accuracy on them, of the running mean of a decoder's weights."""
    rng, trained = np.random.default_rng(0), criterion.decoder
    criterion.decoder = decoder.eval()
    with torch.no_grad():
        batches = images.chosen[: len(images) // batch * batch].reshape(-1, batch)
        losses = [losses_of(criterion, images, indices, rng) for indices in batches]
    criterion.decoder = trained
    means = {name: np.mean([each[name].item() for each in losses]) for name in losses[0]}
    return means | accuracy(decoder, images)
