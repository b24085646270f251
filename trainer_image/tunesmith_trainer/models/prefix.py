"""A model whose lower blocks are frozen: their output is computed once for each row and kept in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith_trainer.data.batches import length_sorted
from tunesmith_trainer.data.rows import Rows
from tunesmith_trainer.engine.types import device_of
from tunesmith_trainer.models.heads import final_linear
from tunesmith_trainer.models.learner import ModuleLearner
from tunesmith_trainer.models.predict import ROWS
from tunesmith_trainer.run import Run

Side = Literal["right", "left"]
SIDES: tuple[Side, ...] = ("right", "left")
"""Where a row is padded: decoders read their last position, which padding on the right would move."""
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-2}
"""How far (relative) the two ways of computing may differ before the cache is given up."""


class PrefixLearner(ModuleLearner):
    """Computes from cached activations [tokens, width] where that is exact for the model, else from token ids."""

    def __init__(
        self,
        module: nn.Module,
        stack: nn.ModuleList,
        trained_blocks: int,
        *,
        head: frozenset[str],
        pad_id: int,
        write: Callable[[Path], None],
    ) -> None:
        super().__init__(module, final=final_linear(module)[1], head=head, pad_id=pad_id, write=write)
        self._stack = stack
        self._below = len(stack) - trained_blocks
        self._cached: dict[int, _Activations] = {}
        self._side: Side | None = None

    def cache(self, rows: Rows, run: Run) -> None:
        """Compute the frozen part's output for every row, unless a first batch shows that the model does not allow it."""
        if self._below == 0 or id(rows) in self._cached:
            return
        self._side = self._side or next((side for side in SIDES if self._agrees(rows, side)), None)
        if self._side is None:
            run.note("this model's lower blocks cannot be computed apart: their activations are not cached, which is slower")
            return
        path = run.work / f"activations-{len(self._cached)}.bin"
        kept = _Activations(path, rows.lengths, width=self._width, dtype=self._dtype)
        for indices in length_sorted(rows.lengths, ROWS):
            run.leave_if_asked()
            kept.put(indices, self._hidden(super().inputs(rows, indices)).cpu())
        self._cached[id(rows)] = kept

    def inputs(self, rows: Rows, indices: np.ndarray) -> dict[str, Tensor]:
        """Cached activations [rows, tokens, width] and the mask [rows, tokens]; token ids where nothing is cached."""
        kept = self._cached.get(id(rows))
        if kept is None:
            return super().inputs(rows, indices)
        device = device_of(self.module)
        return {name: tensor.to(device, non_blocking=True) for name, tensor in kept.get(indices, self._side or SIDES[0]).items()}

    def logits(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Outputs of shape [rows, outputs], float32, from token ids or from cached activations."""
        if "hidden" not in inputs:
            return super().logits(inputs)
        with self._upper_part():
            return super().logits({"inputs_embeds": inputs["hidden"], "attention_mask": inputs["attention_mask"]})

    @property
    def _width(self) -> int:
        config: Any = self.module.config
        return int(config.hidden_size)

    @property
    def _dtype(self) -> torch.dtype:
        return next(self._stack.parameters()).dtype

    def _agrees(self, rows: Rows, side: Side) -> bool:
        """Whether the first rows have the same outputs both ways, under a head drawn at random (a fresh one is zero)."""
        indices = np.argsort(rows.lengths, kind="stable")[:: max(1, len(rows) // 8)][:8]
        inputs = super().inputs(rows, indices)
        few = _Activations(None, rows.lengths[indices], width=self._width, dtype=self._dtype)
        was_training, head = self.module.training, self.final.weight.detach().clone()
        self.module.eval()
        try:
            with torch.no_grad():
                self.final.weight.copy_(torch.randn(head.shape, generator=torch.Generator().manual_seed(0)))
                direct = super().logits(inputs)
                few.put(np.arange(len(indices)), self._hidden(inputs).cpu())
                split = self.logits({n: t.to(direct.device) for n, t in few.get(np.arange(len(indices)), side).items()})
            return bool((direct - split).norm() <= TOLERANCE[self._dtype] * direct.norm())
        except (TypeError, ValueError, RuntimeError, AttributeError):
            return False
        finally:
            with torch.no_grad():
                self.final.weight.copy_(head)
            self.module.train(was_training)

    def _hidden(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """What the first trained block is given: [rows, tokens, width]."""
        caught: list[Tensor] = []

        def catch(_block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            caught.append(args[0] if args else kwargs["hidden_states"])
            raise _CaughtError

        hook = self._stack[self._below].register_forward_pre_hook(catch, with_kwargs=True)
        was_training = self.module.training
        self.module.eval()
        try:
            with torch.no_grad():
                self.module(**inputs)
        except _CaughtError:
            pass
        finally:
            hook.remove()
            self.module.train(was_training)
        return caught[0]

    @contextmanager
    def _upper_part(self) -> Iterator[None]:
        """The module without embeddings and lower blocks, for the length of one computation."""
        backbone: Any = self.module.base_model
        blocks, embeddings = list(self._stack), getattr(backbone, "embeddings", None)
        self._stack._modules = {str(i): block for i, block in enumerate(blocks[self._below :])}
        if embeddings is not None:
            backbone.embeddings = _Given()
        try:
            yield
        finally:
            self._stack._modules = {str(i): block for i, block in enumerate(blocks)}
            if embeddings is not None:
                backbone.embeddings = embeddings


class _Activations:
    """One [tokens, width] tensor for all rows, memory mapped from a file if one is named."""

    def __init__(self, path: Path | None, lengths: np.ndarray, *, width: int, dtype: torch.dtype) -> None:
        self._lengths = lengths.astype(np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths
        size = int(self._lengths.sum()) * width
        flat = torch.from_file(str(path), shared=True, size=size, dtype=dtype) if path else torch.empty(size, dtype=dtype)
        self._values = flat.view(-1, width)

    def put(self, indices: np.ndarray, hidden: Tensor) -> None:
        """Keep the rows' [rows, tokens, width] activations, without what stands at padding."""
        positions, inside = self._positions(indices, "right")
        self._values[torch.from_numpy(positions[inside])] = hidden[torch.from_numpy(inside)]

    def get(self, indices: np.ndarray, side: Side) -> dict[str, Tensor]:
        """The rows' activations [rows, tokens, width], padded on that side with copies of their own, and the mask [rows, tokens]."""
        positions, inside = self._positions(indices, side)
        hidden = self._values[torch.from_numpy(positions.ravel())].view(*positions.shape, -1)
        return {"hidden": hidden, "attention_mask": torch.from_numpy(inside.astype(np.int64))}

    def _positions(self, indices: np.ndarray, side: Side) -> tuple[np.ndarray, np.ndarray]:
        lengths = self._lengths[indices][:, None]
        longest = int(lengths.max())
        steps = np.arange(longest)[None] - (longest - lengths if side == "left" else 0)
        return self._starts[indices][:, None] + np.clip(steps, 0, lengths - 1), (steps >= 0) & (steps < lengths)


class _CaughtError(Exception):
    """Ends a forward pass whose lower part was all that was wanted."""


class _Given(nn.Module):
    """Stands for embeddings: hands on what it is given."""

    def forward(self, input_ids: None = None, inputs_embeds: Tensor | None = None, *_: Any, **__: Any) -> Tensor | None:
        """Return inputs_embeds as they are."""
        return inputs_embeds
