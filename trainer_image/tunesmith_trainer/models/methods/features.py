"""Embed every row once with the model's own pooling and fit a linear head on the embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith_api.methods import Features
from tunesmith_trainer.data.batches import length_sorted
from tunesmith_trainer.data.rows import Rows
from tunesmith_trainer.models.files import load_for, write_model
from tunesmith_trainer.models.folder import LocalModel
from tunesmith_trainer.models.heads import backbone, final_linear
from tunesmith_trainer.models.learner import ModuleLearner, Task
from tunesmith_trainer.models.pooling import Pooling, pool, read_pooling, write_sentence_transformers
from tunesmith_trainer.models.predict import ROWS
from tunesmith_trainer.run import Run

NORM = 16.0
"""Embeddings are scaled to this mean length, so that one L2 penalty suits all models."""


def apply(base: LocalModel, _method: Features, task: Task) -> ModuleLearner:
    """Only the final linear layer is fitted; it starts at zero, in fp32."""
    module = load_for(base, task)
    module.requires_grad_(False)
    _, stock = final_linear(module)
    pooling = read_pooling(base)
    has_bias = pooling is not None or stock.bias is not None
    final = nn.Linear(stock.in_features, stock.out_features, bias=has_bias, device=stock.weight.device)
    nn.init.zeros_(final.weight)
    if has_bias:
        nn.init.zeros_(final.bias)
    return FeatureLearner(module, stock, final, base=base, pooling=pooling, task=task)


class FeatureLearner(ModuleLearner):
    """Computes outputs from embeddings: the sentence embedding where the model says how to pool, else what its stock head reads."""

    def __init__(
        self, module: nn.Module, stock: nn.Linear, final: nn.Linear, *, base: LocalModel, pooling: Pooling | None, task: Task
    ) -> None:
        super().__init__(module, final=final, head=frozenset(), pad_id=task.pad_id, write=self._publish)
        self._stock = stock
        self._base = base
        self._pooling = pooling
        self._labels = task.labels
        self._max_length = task.max_length
        self._scale = 0.0
        self._embedded: dict[int, Tensor] = {}

    def cache(self, rows: Rows, run: Run) -> None:
        """Embed every row; the first rows given set the scale."""
        tell, done, first = run.progress(f"Embedding {len(rows):,} rows"), 0, None
        batches = length_sorted(rows.lengths, ROWS)
        self.module.eval()
        for indices in batches:
            embedded = self._embed(super().inputs(rows, indices))
            first = torch.empty(len(rows), embedded.shape[1], device=embedded.device) if first is None else first
            first[torch.from_numpy(indices).to(first.device)] = embedded
            done += len(indices)
            tell(done, len(rows))
        if first is None:
            return
        self._scale = self._scale or NORM / float(first.norm(dim=1).mean())
        self._embedded[id(rows)] = first * self._scale

    def inputs(self, rows: Rows, indices: np.ndarray) -> dict[str, Tensor]:
        """The rows' embeddings, [rows, width]."""
        embedded = self._embedded[id(rows)]
        return {"features": embedded[torch.from_numpy(indices).to(embedded.device)]}

    def logits(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Outputs of shape [rows, outputs], float32."""
        outputs: Tensor = self.final(inputs["features"])
        return outputs

    def _embed(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Embeddings [rows, width], float32."""
        with torch.no_grad():
            if self._pooling is not None:
                hidden = backbone(self.module)(**inputs).last_hidden_state
                return pool(hidden.float(), inputs["attention_mask"], self._pooling)
            caught: list[Tensor] = []
            hook = self._stock.register_forward_pre_hook(lambda _m, args: caught.append(args[0].float()))
            self.module(**inputs)
            hook.remove()
            return _pooled(caught[0], inputs["attention_mask"])

    def _publish(self, folder: Path) -> None:
        weight, bias = self.final.weight.detach() * self._scale, self.final.bias
        if self._pooling is not None:
            write_sentence_transformers(
                folder / "model", self._base, self._pooling, weight=weight, bias=bias, labels=self._labels, max_length=self._max_length
            )
            return
        with torch.no_grad():
            self._stock.weight.copy_(weight)
            if self._stock.bias is not None:
                self._stock.bias.copy_(bias)
        write_model(self.module, self._base, folder / "model")


def _pooled(features: Tensor, mask: Tensor) -> Tensor:
    """What the head's answer rests on, [rows, width]: a decoder's head reads every token, and its answer is that at the last one."""
    if features.ndim == 2:
        return features
    return features[torch.arange(len(features), device=features.device), mask.sum(dim=1) - 1]
