"""Memory: what a training will take, what the machine has, and how running out of it looks."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path

import torch

from tunesmith_api.plan import Memory

PROCESS_BYTES = 800 * 2**20
"""Python, torch and the libraries, measured on a CPU."""
_SAID_ON_A_CPU = ("can't allocate memory", "could not create a primitive")
"""By torch's allocator, and by oneDNN when it cannot have its scratch space."""
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def estimate(
    *, parameters: int, trained: int, width: int, depth: int, tokens: int, bf16: bool, checkpointing: bool, available: int
) -> Memory:
    """Bytes of a training step (measured on four shapes of model; within about 10 % for bf16).

    tokens: of a micro-batch with padding; width, depth: hidden size and layers that keep activations.
    A trained parameter has two fp32 moments, a gradient, and for bf16 an fp32 master. Activations: 58 bytes per token, layer and
    unit of width in bf16 (2 with checkpointing, and one layer in full).
    """
    size = 2 if bf16 else 4
    per_unit = tokens * width * size
    kept = per_unit * depth + 29 * per_unit if checkpointing else 29 * per_unit * depth
    parts = {
        "weights": parameters * size,
        "optimizer": trained * (12 if bf16 else 8),
        "gradients": trained * size,
        "activations": kept,
        "process": PROCESS_BYTES,
    }
    return Memory(**parts, total=sum(parts.values()), available=available)


def available() -> int:
    """Bytes that this process may take: the accelerator's memory, else the container's limit or the machine's."""
    import psutil

    if torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(0).total_memory)
    limits = [int(psutil.virtual_memory().total)]
    for path in _CGROUP_LIMITS:
        if path.exists() and (text := path.read_text().strip()).isdigit():
            limits.append(int(text))
    return min(limits)


def peak_bytes() -> int:
    """Most memory that this process has held: of the accelerator, else resident."""
    import resource

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error says that memory ran out, on an accelerator or on the CPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SAID_ON_A_CPU)


def release() -> None:
    """Give memory of a failed step back."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back, so that smaller pieces find room
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
