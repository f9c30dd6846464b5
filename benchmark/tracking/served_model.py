"""A trained cell as MLflow serves it. MLflow copies this file into the model and runs it where the model is loaded."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from benchmark.scoring.sound import sound_logits
from benchmark.trained.run import load_run
from methods.episode import Episode
from methods.registry import load_plugin


class FewShotModel(PythonModel):
    """One task in, the logits of its queries out; needs htbench, but neither its dataset nor its run directory."""

    def load_context(self, context: Any) -> None:
        """Build the method with the weights chosen on validation."""
        folder = Path(context.artifacts["run"])
        for plugin in sorted(folder.glob("plugins/*.py")):
            load_plugin(plugin)
        self.run = load_run(folder)

    @torch.inference_mode()
    def predict(self, context: Any, model_input: dict[str, np.ndarray], params: dict[str, Any] | None = None) -> Any:
        """Classify the queries of one task.

        Args:
            context: not used.
            model_input: `support_images` (S, C, H, W) and `query_images` (Q, C, H, W) float32 in [0, 1],
                `support_labels` (S,) int64 in 0..N-1 or -1 for unlabelled images.
            params: not used.

        Returns:
            Logits (Q, N) float32.
        """
        support, query = (self._images(model_input[name]) for name in ("support_images", "query_images"))
        labels = torch.from_numpy(np.array(model_input["support_labels"], np.int64))[None]
        unknown = torch.zeros(query.shape[:2], dtype=torch.int64)
        episode = Episode(support, labels, query, unknown, int(labels.max()) + 1)
        return sound_logits(self.run.method, episode)[0].numpy()

    def _images(self, images: np.ndarray) -> torch.Tensor:
        """(1, M, C, H, W), normalised as in training."""
        pixels = torch.from_numpy(np.array(images, np.float32))[None]
        normalization = self.run.config.dataset.normalization
        return pixels if normalization is None else normalization(pixels)


set_model(FewShotModel())
