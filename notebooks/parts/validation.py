import numpy as np
import torch


def accuracy(decoder, images, relative=0.6):
    """Acc@0.5 and pointing accuracy on a split's images, at the size of training."""
    method, answers = dense_method(images.encoder, decoder, relative=relative), []
    for index in images.chosen:
        example = images.dataset[index]
        answers += measured(example, method(example, images.view(index)))
    return {name: values_of(answers, name).mean() for name in ("Acc@0.5", "Pointing")}


def validated(criterion, decoder, images, batch):
    """The losses of validation images and the accuracy on them, of the running mean of a decoder's weights."""
    rng, trained = np.random.default_rng(0), criterion.decoder
    criterion.decoder = decoder.eval()
    with torch.no_grad():
        batches = images.chosen[: len(images) // batch * batch].reshape(-1, batch)
        losses = [losses_of(criterion, images, indices, rng) for indices in batches]
    criterion.decoder = trained
    return {name: np.mean([each[name].item() for each in losses]) for name in losses[0]} | accuracy(decoder, images)
