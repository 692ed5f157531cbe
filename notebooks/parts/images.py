import numpy as np


class TrainingImages:
    """A split's images with phrases for any number of objects, as batches; their features are kept where there is room.

    Args:
        dataset: grouped by image.
        encoder: the frozen CLIP.
        stride: of the masks of valid cells: the decoder's heatmaps, or the embeddings for adapters.
        boxed: whether boxes are used; else none leaves this class.
        chosen: indices of the images that are used; None for all.
    """

    def __init__(self, dataset, encoder, *, stride, boxed=True, chosen=None, known=None):
        self.dataset, self.encoder, self.stride, self.boxed = dataset, encoder, stride, boxed
        self.chosen = np.arange(len(dataset)) if chosen is None else np.asarray(chosen)
        self.absent = absent_phrases(dataset) if boxed else {}
        self.phrases = {index: dataset.phrases[dataset.image_ids[index]] for index in self.chosen}
        self.known = {} if known is None else known  # index -> letterbox, features of the encoder's size

    def __len__(self):
        return len(self.chosen)

    def view(self, index):
        """One image as an `EncodedView`, from the memory where it is there."""
        if index in self.known:
            return self.known[index]
        view = self.encoder.encode([self.dataset[index].image])
        if SETTINGS.cached:  # in half precision, and of the stages what is read at stride 32: by adapters the last one
            stages = ("layer2", "layer3", "layer4") if self.boxed else ("layer4",)
            pyramid = {stage: view.features.pyramid[stage].half() for stage in stages}
            view = EncodedView(view.letterboxes, DenseFeatures(pyramid, view.features.embeddings.half()))
            self.known[index] = view
        return view

    def features(self, indices):
        """Frozen features of a batch."""
        each = [self.view(index).features for index in indices]
        pyramid = {stage: torch.cat([one.pyramid[stage] for one in each]).float() for stage in each[0].pyramid}
        return DenseFeatures(pyramid, torch.cat([one.embeddings for one in each]).float())

    def batch(self, indices, rng, *, pixels):
        """A `TrainingBatch` of some phrases of each image and, with boxes, one that fits nothing in it.

        With boxes, phrases of different objects come first: they are each other's hardest negatives.
        """
        asked, image_index, boxes, squares, valid, image_ids = [], [], [], [], [], []
        for position, index in enumerate(indices):
            own = [self.phrases[index][i] for i in rng.permutation(len(self.phrases[index]))]
            first = {each.ann_ids: id(each) for each in own}.values() if self.boxed else ()
            drawn = sorted(own, key=lambda each: id(each) not in first)[: SETTINGS.phrases]
            drawn += self.absent.get(own[0].image_id, [])
            if pixels:
                image = self.dataset[index].image
                letterbox = Letterbox.fit(image.shape[1::-1], self.encoder.model_size)
                squares.append(letterbox.apply(image))
            else:
                letterbox = self.view(index).letterboxes[0]
            asked += drawn
            image_index += [position] * len(drawn)
            boxes += [letterbox.boxes_to_model(each.boxes_xyxy) for each in drawn]
            valid.append(letterbox.valid_mask(self.stride))
            image_ids.append(own[0].image_id)
        xyxy = np.concatenate(boxes) if self.boxed else np.full((len(asked), 4), np.nan, np.float32)
        return TrainingBatch(
            squares=torch.from_numpy(np.array(squares)),
            valid=torch.from_numpy(np.stack(valid)),
            image_ids=torch.tensor(image_ids),
            phrases=[each.text for each in asked],
            boxes_xyxy=torch.from_numpy(xyxy),
            box_counts=torch.tensor([len(each.boxes_xyxy) for each in asked]),
            image_index=torch.tensor(image_index),
            region_ids=torch.tensor([each.ann_ids[0] if each.ann_ids else -1 - i for i, each in enumerate(asked)]),
        )
