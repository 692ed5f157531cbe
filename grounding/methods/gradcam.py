"""Grad-CAM on CLIP: which positions of the last stage speak for the phrase, without any training.

Selvaraju et al. 2017, "Grad-CAM", section 3, with the cosine of image and phrase as the score.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from grounding.clip.backbone import LoadedCLIP
from grounding.clip.encoder import EncodedView, Encoder
from grounding.extraction import ExtractionConfig
from grounding.methods.calibration import Calibration
from grounding.methods.config import ModelConfig
from grounding.methods.dense import DenseGrounder

STRIDE = 32  # of CLIP's last stage as it was trained


class GradCAMGrounder(DenseGrounder):
    """Heatmaps by Grad-CAM, at CLIP's own input size: its attention pool knows no other."""

    def __init__(
        self, clip: LoadedCLIP, *, extraction: ExtractionConfig, calibration: Calibration | None = None
    ) -> None:
        encoder = Encoder(clip, model_size=clip.model.visual.input_resolution, output_stride=STRIDE)
        model = ModelConfig(extraction=extraction)
        super().__init__(encoder, None, name="gradcam", model=model, calibration=calibration)
        self._pool = clip.model.visual.attnpool

    def _some_heatmaps(self, view: EncodedView, phrases: Sequence[str], image_index: Tensor) -> tuple[Tensor, Tensor]:
        """(P, h, w) in [0, 1] over the model's square, 0 where nothing speaks for the phrase and on padding; and (P,)
        in [0, 1] the cosine of image and phrase, brought there from -1 to 1."""
        valid = view.valid_mask(STRIDE)[image_index]
        asked = self.encoder.encode_phrases(phrases).embeddings
        with torch.enable_grad():
            # One copy of its image's stage per phrase: the gradient of the sum of all scores is then each phrase's own.
            activations = view.features.pyramid["layer4"][image_index].float().requires_grad_()
            images = F.normalize(self._pool(activations), dim=-1)
            cosines = (images * asked).sum(dim=1)
            (gradients,) = torch.autograd.grad(cosines.sum(), activations)
        weights = gradients.mean(dim=(2, 3), keepdim=True)
        cam = (weights * activations.detach()).sum(dim=1).relu() * valid
        heat = cam / cam.amax(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(cam.dtype).tiny)
        return heat, (1 + cosines.detach()) / 2
