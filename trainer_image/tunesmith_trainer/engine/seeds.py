"""Randomness as a pure function of what names it, so that resuming needs no generator state."""

from __future__ import annotations

import hashlib

import torch


def seed_of(*parts: object) -> int:
    """A seed below 2**63 that depends on every part."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def seed_torch(*parts: object) -> None:
    """Seed torch's generators (dropout, fresh weights) from the parts."""
    torch.manual_seed(seed_of(*parts))
