"""What can go wrong with a download, each as a sentence that says what to do."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_biomedparse.files.replacing import reason
from napari_biomedparse.model.errors import CheckpointError
from napari_biomedparse.weights.files import size_in_words
from napari_biomedparse.weights.hub_settings import endpoint, socks_variables
from napari_biomedparse.weights.sources import HubFile


class HubError(CheckpointError):
    """Weights that could not be had from the hub; the message says why and what to do."""


@contextmanager
def clear_hub_errors(file: HubFile, partial: Path | None = None) -> Iterator[None]:
    """Turn huggingface_hub's errors into a :class:`HubError`.

    Parameters
    ----------
    file
        What is asked for.
    partial
        Where its bytes are put, once the hub has said that there is such a file.

    Raises
    ------
    HubError
        Instead of any error of the network, the hub or the disk.
    """
    from huggingface_hub.errors import HfHubHTTPError

    # The other bases are what the HTTP client raises, and which client that is depends on huggingface_hub's version.
    of_client = HfHubHTTPError.__bases__
    invalid = getattr(sys.modules.get(of_client[0].__module__), "InvalidURL", OSError)
    try:
        yield
    except CheckpointError:
        raise
    except (OSError, ImportError, ValueError, invalid, *of_client) as error:  # type: ignore[misc]
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is not None:
            sentence = _refused(file, status) if partial is None else _stopped(file, status)
        elif isinstance(error, OSError) and (error.errno in (errno.ENOSPC, errno.EDQUOT) or error.filename):
            sentence = (
                f"{file.name} cannot be written ({error.strerror}); make room, or set HF_HUB_CACHE to a folder on "
                "another disk, and run this again to go on."
            )
        elif isinstance(error, ImportError) and socks_variables():
            sentence = (
                f"{' and '.join(socks_variables())} names a SOCKS proxy, which needs a package more: run `pip install "
                "socksio`, or name an HTTP proxy."
            )
        elif not isinstance(error, (OSError, *of_client)):
            sentence = (
                f"{endpoint()} cannot be asked for {file.name} ({reason(error)}); check HF_ENDPOINT, HF_TOKEN and the "
                "proxy in the environment."
            )
        elif partial is not None and partial.is_file() and partial.stat().st_size:
            sentence = (
                f"The download of {file.name} broke off after {size_in_words(partial.stat().st_size)}, which are kept; "
                "run this again to go on from there."
            )
        else:
            sentence = (
                f"{endpoint()} cannot be reached for {file.name}; check the network, the proxy and HF_ENDPOINT, or "
                "fetch the file elsewhere and give it to `napari-biomedparse models import`."
            )
        raise HubError(sentence) from error


def _refused(file: HubFile, status: int) -> str:
    page = f"{endpoint()}/{file.repository}"
    if status == 401:
        return f"{page} wants to know who asks (401); log in with `hf auth login` or set HF_TOKEN to a valid token."
    if status == 403:
        return (
            f"{page} refuses {file.name} to you (403); accept the terms on that page, then log in with "
            "`hf auth login` or set HF_TOKEN to a token that may read it."
        )
    if status == 404:
        return f"{page} has no {file.name} (404); check HF_ENDPOINT, or whether there is a newer napari-biomedparse."
    return f"{page} answers with error {status}; try again later."


def _stopped(file: HubFile, status: int) -> str:
    """Name what the storage behind the hub answers; its links are valid for an hour or so."""
    return f"The storage of {file.name} answers with error {status}; run this again, which asks for a new link to it."
