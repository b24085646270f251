"""The header of a safetensors file, read with bounds: shapes and dtypes without a weight."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith_trainer.models.folder import unavailable

MOST_HEADER_BYTES = 100_000_000
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
"""Bits of one element of each dtype of the format."""


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a safetensors file."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def read_header(path: Path, where: str) -> list[TensorInfo]:
    """The tensors that a file declares; refuses a header that lies about itself or the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if not 2 <= length <= min(MOST_HEADER_BYTES, size - 8):
            raise _corrupt(where, f"its header is said to take {length} of {size} bytes")
        raw = file.read(length)
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError):
        raise _corrupt(where, "its header is not JSON") from None
    if not isinstance(header, dict):
        raise _corrupt(where, "its header is not a JSON object")
    return [_tensor(name, entry, size - 8 - length, where) for name, entry in header.items() if name != "__metadata__"]


def _tensor(name: str, entry: Any, data_bytes: int, where: str) -> TensorInfo:
    """One entry of the header, checked against the bytes that follow it."""
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(begin), int(end)]} if dtype in BITS:
            pass
        case _:
            raise _corrupt(where, f"tensor {name[:100]!r} is declared in an unknown way")
    if not all(type(n) is int and n >= 0 for n in shape) or not 0 <= begin <= end:
        raise _corrupt(where, f"tensor {name[:100]!r} has an impossible shape or place")
    if end > data_bytes:
        raise _corrupt(where, f"tensor {name[:100]!r} ends {end - data_bytes} bytes after the end of the file, which was cut off")
    if (end - begin) * 8 != math.prod(shape) * BITS[dtype]:
        raise _corrupt(where, f"tensor {name[:100]!r} takes {end - begin} bytes, which is not what its shape and dtype need")
    return TensorInfo(name, dtype, tuple(shape))


def _corrupt(where: str, why: str) -> Exception:
    return unavailable(
        f"{where} is no valid safetensors file: {why}", "Copy the file again, and compare its size and checksum with the source's."
    )
