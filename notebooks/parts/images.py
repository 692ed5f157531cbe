import numpy as np


class TrainingImages:
    """A split's images, or those `chosen`, as batches, with frozen features kept; not `boxed`: no box leaves it."""

    def __init__(self, dataset, encoder, *, boxed=True, chosen=None, known=None):
        self.dataset, self.encoder, self.boxed = dataset, encoder, boxed
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
        if SETTINGS.cached:  # in half precision, and of the stages what is read: by adapters the last one
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
        """Some phrases of each of B images and, with boxes, one that fits nothing in it: P phrases on DEVICE,
        letterboxed `squares`, `valid` cells (B, h, w), `boxes_xyxy` in model pixels, and `counts` (P,) of them."""
        asked, image_index, boxes, squares, valid = [], [], [], [], []
        for position, index in enumerate(indices):
            own = [self.phrases[index][i] for i in rng.permutation(len(self.phrases[index]))]
            # Phrases of different objects come first: they are each other's hardest negatives.
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
            valid.append(letterbox.valid_mask(STRIDE // 4 if self.boxed else STRIDE))
        batch = {"squares": np.array(squares), "valid": np.stack(valid), "image_index": np.array(image_index)}
        if self.boxed:
            ids = [each.ann_ids[0] if each.ann_ids else -1 - i for i, each in enumerate(asked)]
            counts = [len(each.boxes_xyxy) for each in asked]
            batch |= {"boxes_xyxy": np.concatenate(boxes), "counts": np.array(counts), "region_ids": np.array(ids)}
        tensors = {name: torch.from_numpy(values).to(DEVICE) for name, values in batch.items()}
        return SimpleNamespace(phrases=[each.text for each in asked], **tensors)
