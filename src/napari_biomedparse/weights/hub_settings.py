"""Hugging Face's settings in the environment, as they are when asked.

huggingface_hub reads them once, when it is imported, which can be long before a notebook or a test sets them.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from napari_biomedparse.model.errors import CheckpointError


def endpoint() -> str:
    """Return the hub's address.

    Raises
    ------
    CheckpointError
        If ``HF_ENDPOINT`` is no address.
    """
    address = os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
    if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
        raise CheckpointError(f"HF_ENDPOINT must be an address such as https://huggingface.co, not {address!r}.")
    return address


def cache_folder() -> Path:
    """Return the folder in which huggingface_hub keeps the files of all repositories."""
    for variable, below in (("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub")):
        if value := os.environ.get(variable):
            return Path(os.path.expandvars(value)).expanduser() / below
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface" / "hub"


def is_offline() -> bool:
    """Return whether ``HF_HUB_OFFLINE`` forbids the network."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in ("1", "ON", "YES", "TRUE")
