"""Where the network runs, and in which arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch

from napari_biomedparse.errors import SettingError

Precision = Literal["float32", "tf32", "bfloat16", "float16"]


def choose_device(name: str = "auto") -> torch.device:
    """Return the device to run on.

    Raises
    ------
    SettingError
        If the name is unknown or this machine has no such device.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, available in there.items() if available))
    try:
        chosen = torch.device(name)
    except RuntimeError:
        chosen = None
    if chosen is not None and there.get(chosen.type, False):
        count = torch.cuda.device_count() if chosen.type == "cuda" else 1
        if (chosen.index or 0) < count:
            return chosen
    usable = [kind for kind, available in there.items() if available and kind != "cuda"]
    usable += [f"cuda:{n}" for n in range(torch.cuda.device_count() if there["cuda"] else 0)]
    raise SettingError(f"There is no device {name!r} on this machine; it has: {', '.join(usable)}.")


def usable_precisions(device: torch.device) -> list[Precision]:
    """Return the arithmetics that a device has units for; in others it would be slower than in float32."""
    if device.type == "cuda":
        ampere = torch.cuda.get_device_capability(device) >= (8, 0)
        return ["float32", "tf32", "bfloat16", "float16"] if ampere else ["float32", "float16"]
    if device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return ["float32", "bfloat16"]
    return ["float32"]


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse an arithmetic that the device has no units for.

    Raises
    ------
    SettingError
        If it is unknown or not usable there.
    """
    usable = usable_precisions(device)
    if precision not in usable:
        known = ", ".join(get_args(Precision))
        reason = "is not usable on this" if precision in get_args(Precision) else f"is none of {known}; usable on this"
        suffix = f"; use {' or '.join(usable)}" if precision in get_args(Precision) else f" are {', '.join(usable)}"
        raise SettingError(f"The precision {precision!r} {reason} {device.type}{suffix}.")


@contextmanager
def arithmetic(precision: Precision, device: torch.device) -> Iterator[None]:
    """Run matrix products in the given arithmetic; sums, norms and similarities stay in float32."""
    if precision == "float32":
        yield
    elif precision == "tf32":
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)
    else:
        with torch.autocast(device.type, torch.bfloat16 if precision == "bfloat16" else torch.float16):
            yield
