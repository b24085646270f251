"""A model whose lower blocks are frozen: their output is computed once for each row and kept in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith_trainer.data.batches import length_sorted
from tunesmith_trainer.data.rows import Rows
from tunesmith_trainer.engine.types import device_of
from tunesmith_trainer.models.heads import final_linear
from tunesmith_trainer.models.learner import ModuleLearner
from tunesmith_trainer.run import Run

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

    def cache(self, rows: Rows, run: Run) -> None:
        """Compute the frozen part's output for every row, unless a first batch shows that the model does not allow it."""
        if self._below == 0 or id(rows) in self._cached or not self._allowed(rows, run):
            return
        path = run.work / f"activations-{len(self._cached)}.bin"
        kept = _Activations(path, rows.lengths, width=self._width, dtype=self._dtype)
        for indices in length_sorted(rows.lengths, 128):
            run.leave_if_asked()
            kept.put(indices, self._hidden(super().inputs(rows, indices)).cpu())
        self._cached[id(rows)] = kept

    def inputs(self, rows: Rows, indices: np.ndarray) -> dict[str, Tensor]:
        """Cached activations [rows, tokens, width] and the mask [rows, tokens]; token ids where nothing is cached."""
        kept = self._cached.get(id(rows))
        if kept is None:
            return super().inputs(rows, indices)
        device = device_of(self.module)
        return {name: tensor.to(device, non_blocking=True) for name, tensor in kept.get(indices).items()}

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

    def _allowed(self, rows: Rows, run: Run) -> bool:
        """Compute the first rows both ways; the heads must see the same."""
        indices = np.argsort(rows.lengths, kind="stable")[:: max(1, len(rows) // 8)][:8]
        whole = super().inputs(rows, indices)
        was_training = self.module.training
        self.module.eval()
        try:
            with torch.no_grad():
                direct = self._head_input(lambda: super(PrefixLearner, self).logits(whole))
                hidden = self._hidden(whole)
                upper = {"hidden": hidden, "attention_mask": whole["attention_mask"]}
                split = self._head_input(lambda: self.logits(upper))
            error = float((direct - split).norm() / direct.norm())
        except (TypeError, ValueError, RuntimeError, AttributeError):
            error = float("inf")
        finally:
            self.module.train(was_training)
        if not error <= TOLERANCE[self._dtype]:
            run.note("this model's lower blocks cannot be computed apart: their activations are not cached, which is slower")
            return False
        return True

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

    def _head_input(self, compute: Callable[[], Tensor]) -> Tensor:
        """What the final linear layer is given during the computation."""
        caught: list[Tensor] = []
        hook = self.final.register_forward_pre_hook(lambda _m, args: caught.append(args[0].float()))
        try:
            compute()
        finally:
            hook.remove()
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
    """One [tokens, width] tensor for all rows, memory mapped from a file."""

    def __init__(self, path: Path, lengths: np.ndarray, *, width: int, dtype: torch.dtype) -> None:
        self._lengths = lengths.astype(np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths
        size = int(self._lengths.sum()) * width
        self._values = torch.from_file(str(path), shared=True, size=size, dtype=dtype).view(-1, width)

    def put(self, indices: np.ndarray, hidden: Tensor) -> None:
        """Keep the rows' [rows, tokens, width] activations, without what stands at padding."""
        positions, inside = self._positions(indices)
        self._values[torch.from_numpy(positions[inside])] = hidden[torch.from_numpy(inside)]

    def get(self, indices: np.ndarray) -> dict[str, Tensor]:
        """The rows' activations [rows, tokens, width], padded with copies of their last one, and the mask [rows, tokens]."""
        positions, inside = self._positions(indices)
        hidden = self._values[torch.from_numpy(positions.ravel())].view(*positions.shape, -1)
        return {"hidden": hidden, "attention_mask": torch.from_numpy(inside.astype(np.int64))}

    def _positions(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        lengths = self._lengths[indices][:, None]
        steps = np.arange(int(lengths.max()))[None]
        return self._starts[indices][:, None] + np.minimum(steps, lengths - 1), steps < lengths


class _CaughtError(Exception):
    """Ends a forward pass whose lower part was all that was wanted."""


class _Given(nn.Module):
    """Stands for embeddings: hands on what it is given."""

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> Tensor:
        """Return inputs_embeds as they are."""
        return inputs_embeds
