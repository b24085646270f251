"""Methods: which parameters are trained, and how; each is implemented by the trainer's file of the same name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tunesmith_api.meta import ApiModel, OneOf


class Full(ApiModel):
    """Train every parameter."""


class OutputLayers(ApiModel):
    """Train the head and the last blocks; what lies below is frozen and its activations are computed once."""

    blocks: int = Field(default=2, ge=1, le=256)
    """How many of the last transformer blocks are trained together with the head."""


class Features(ApiModel):
    """Embed every row once with the model's own pooling and fit a linear classifier on the embeddings."""

    l2: float = Field(default=3e-5, ge=0, le=1e3)
    """L2 penalty on the weights of the linear head."""


class Lora(ApiModel):
    """Low-rank adapters (arXiv 2106.09685) on the linear layers of a frozen base."""

    rank: int = Field(default=16, ge=1, le=1024)
    """Rank of the update of each layer."""
    alpha: int = Field(default=32, ge=1, le=65536)
    """Scale of the update: it is multiplied by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapters' input while training."""
    targets: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] = Field(default=(), max_length=64)
    """Names (or endings of names) of the linear layers to adapt; empty means all of them but the head."""
    rs_lora: bool = False
    """Scale by alpha / sqrt(rank) instead (rank-stabilised LoRA, arXiv 2312.03732)."""
    dora: bool = False
    """Learn magnitude and direction apart (DoRA, arXiv 2402.09353): slower, sometimes better."""
    merge: bool = False
    """Publish one merged model in place of an adapter."""


class Method(OneOf):
    """Which parameters are trained, and how."""

    full: Full | None = None
    """Train every parameter."""
    output_layers: OutputLayers | None = None
    """Train the head and the last blocks of a frozen model."""
    features: Features | None = None
    """Fit a linear classifier on cached embeddings; seconds, not minutes."""
    lora: Lora | None = None
    """Train low-rank adapters and the head."""
