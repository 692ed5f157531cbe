from types import SimpleNamespace


class BoxLosses(nn.Module):
    """The decoder with its losses: box masks, presence and, with a weight, the region-phrase contrast."""

    def __init__(self, decoder, contrast=0.0):
        super().__init__()
        self.decoder, self.weight = decoder, contrast
        self.contrast = RegionPhraseContrast() if contrast else None

    def forward(self, features, batch):
        """Name -> loss times its weight, of a batch's encoded images (`TrainingImages.batch`)."""
        phrases, valid = ENCODER.encode_phrases(batch.phrases), batch.valid[batch.image_index]
        regions = self.decoder.region_embeddings(features)
        x, summary = self.decoder.compare(features, phrases, batch.image_index, regions)
        logits = self.decoder.refine(x, summary, features, batch.image_index)
        masks = box_masks(batch.boxes_xyxy, logits.shape[-1], self.decoder.heatmap_stride)
        masks = phrase_masks(masks, batch.counts)
        with torch.autocast(DEVICE.type, enabled=False):  # logarithms and temperatures need float32
            there = self.decoder.presence(x.float(), summary.float(), valid)
            presence = F.binary_cross_entropy_with_logits(there, (batch.counts > 0).float())
            losses = {"mask_loss": mask_loss(logits.float(), masks, valid), "presence_loss": 0.5 * presence}
            if self.contrast is not None:
                one = batch.counts == 1  # the pairs of a region and its phrase
                of_boxes = pool(regions.float(), masks[one], batch.image_index[one])
                pairs = Pairs(of_boxes, phrases.embeddings[one], batch.region_ids[one])
                losses["contrast_loss"] = self.weight * self.contrast(pairs)
        return losses


class AdapterLosses(nn.Module):
    """The adapters with the image-phrase contrast; boxes play no part."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder, self.contrast = decoder, ImagePhraseContrast()

    def forward(self, features, batch):
        """As `BoxLosses.forward`."""
        phrases = ENCODER.encode_phrases(batch.phrases).embeddings
        regions, adapted = self.decoder.region_embeddings(features), self.decoder.phrase_embeddings(phrases)
        ids = torch.arange(len(batch.valid), device=DEVICE)  # of images: their places in the batch
        with torch.autocast(DEVICE.type, enabled=False):  # unit length again: half precision has rounded it
            regions, adapted = F.normalize(regions.float(), dim=1), F.normalize(adapted.float(), dim=1)
            seen = ImagesAndPhrases(regions, batch.valid, adapted, phrases, ids, ids[batch.image_index])
            return {"contrast_loss": self.contrast(seen, self.decoder.log_sharpness)}
