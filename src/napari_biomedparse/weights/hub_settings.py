"""Hugging Face's settings in the environment, as they are when asked.

huggingface_hub reads them once, when it is imported, which can be long before a notebook or a test sets them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from napari_biomedparse.model.errors import CheckpointError

# Kinds of proxies that there is an HTTP client for.
PROXIES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


def endpoint() -> str:
    """Return the hub's address.

    Raises
    ------
    CheckpointError
        If ``HF_ENDPOINT`` is no address.
    """
    address = os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
    if not _is_address(address, ("http", "https")):
        raise _no_endpoint(address)
    return address


def check_endpoint() -> None:
    """Refuse an address with which huggingface_hub cannot even be imported, as to look into its cache.

    Raises
    ------
    CheckpointError
        If the host or the port in ``HF_ENDPOINT`` cannot be read.
    """
    address = os.environ.get("HF_ENDPOINT", "")
    try:
        _ = urlsplit(address).port
    except ValueError:
        raise _no_endpoint(address) from None


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


def check_settings() -> None:
    """Refuse settings of which the HTTP client would say neither which one it is nor what to do.

    Raises
    ------
    CheckpointError
        If a proxy is no address, or a token has letters that cannot be sent.
    """
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    proxies = getproxies()
    # With "*" no proxy is used at all.
    for scheme in () if proxies.get("no", "").strip() == "*" else ("http", "https", "all"):
        # Not shown, as it may hold a password.
        address = proxies.get(scheme) or "http://none"
        if not _is_address(address if "://" in address else f"http://{address}", PROXIES):
            names = [name for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()) if os.environ.get(name)]
            raise CheckpointError(
                f"{names[0] if names else 'The proxy of the system'} must be an address such as "
                "http://proxy.example.org:8080; correct or unset it."
            )
    sent = build_hf_headers().get("authorization", "")
    if not (sent.isascii() and sent.isprintable()):
        given = [name for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") if os.environ.get(name)]
        raise CheckpointError(
            f"{given[0] if given else 'What `hf auth login` has kept'} is no token: it has letters that none has; copy "
            f"it again from {endpoint()}/settings/tokens, or unset it."
        )


def socks_variables() -> list[str]:
    """Return the variables that name a SOCKS proxy, for which the HTTP client needs a package more."""
    names = [f"{scheme}_proxy" for scheme in ("http", "https", "all")]
    return [
        name for each in names for name in (each, each.upper()) if os.environ.get(name, "").lower().startswith("socks")
    ]


def _no_endpoint(address: str) -> CheckpointError:
    return CheckpointError(
        f"HF_ENDPOINT must be an address such as https://huggingface.co, not {address!r}; correct or unset it."
    )


def _is_address(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname) and not re.search(r"\s", text)
