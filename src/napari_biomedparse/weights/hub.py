"""Files of the Hugging Face hub: found in its cache, or downloaded into it.

huggingface_hub forgets a download that its process did not finish. Therefore the bytes are fetched into a file that is
kept and gone on with, checked, and put where huggingface_hub looks for them; it then only has to link them. Without
links it would copy them: there they are put where the link would be.
"""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

from napari_biomedparse.weights.checksum import Checked, is_sha256, note
from napari_biomedparse.weights.files import check_room, sha256_of
from napari_biomedparse.weights.hub_errors import HubError, clear_hub_errors
from napari_biomedparse.weights.hub_settings import cache_folder, check_endpoint, check_settings, endpoint, is_offline
from napari_biomedparse.weights.sources import HubFile

logger = logging.getLogger(__name__)


def find_cached(file: HubFile) -> Path | None:
    """Return a file's path in the cache, without asking the network; None if it is not there.

    Raises
    ------
    CheckpointError
        If ``HF_ENDPOINT`` is such that huggingface_hub cannot be imported.
    """
    check_endpoint()
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(file.repository, file.name, cache_dir=cache_folder())
    return Path(found) if isinstance(found, str) else None


def download(file: HubFile) -> Path:
    """Fetch a file into huggingface_hub's cache, going on where an earlier download broke off.

    Returns
    -------
    Path
        The file in the cache.

    Raises
    ------
    HubError
        If it cannot be had, or is not what the hub published.
    CheckpointError
        If the disk has no room for it, or a setting in the environment is of no use.
    """
    check_endpoint()
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.file_download import are_symlinks_supported, repo_folder_name
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

    if is_offline():
        raise HubError(f"{file.name} is not in {cache_folder()} and HF_HUB_OFFLINE is set; unset it to download.")
    check_settings()
    with clear_hub_errors(file):
        metadata = get_hf_file_metadata(hf_hub_url(file.repository, file.name, endpoint=endpoint()))
    etag, size, commit = metadata.etag, metadata.size, metadata.commit_hash
    if etag is None or size is None or commit is None or not re.fullmatch(r"[\w-]+ [\w-]+", f"{etag} {commit}"):
        raise HubError(f"{endpoint()} does not answer as a Hugging Face hub does; check HF_ENDPOINT and the proxy.")

    folder = repo_folder_name(repo_id=file.repository, repo_type="model")
    blob = cache_folder() / folder / "blobs" / etag
    snapshot = cache_folder() / folder / "snapshots" / commit / file.name
    partial = blob.with_name(f"{etag}.biomedparse.incomplete")
    lock = cache_folder() / ".locks" / folder / f"{etag}.lock"
    with clear_hub_errors(file, partial):
        blob.parent.mkdir(parents=True, exist_ok=True)
        lock.parent.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(lock):
            if not blob.is_file() and not snapshot.is_file():
                # This commit's file, whatever becomes of the branch meanwhile.
                url = hf_hub_url(file.repository, file.name, revision=commit, endpoint=endpoint())
                _fetch(file, url, partial, size)
                _check(file, partial, etag)
                partial.replace(blob)
            if not snapshot.is_file() and not are_symlinks_supported(cache_folder()):
                snapshot.parent.mkdir(parents=True, exist_ok=True)
                if is_sha256(etag):
                    note(snapshot, etag)
                blob.replace(snapshot)
        path = hf_hub_download(file.repository, file.name, cache_dir=cache_folder(), endpoint=endpoint())
    return Path(path)


def _fetch(file: HubFile, url: str, partial: Path, size: int) -> None:
    """Bring a partial file to its whole size."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    have = partial.stat().st_size if partial.is_file() else 0
    if have > size:
        partial.unlink()
        have = 0
    check_room(partial.parent, size - have)
    # A range of a compressed answer would be no range of the file.
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    try:
        with partial.open("ab") as target:
            http_get(url, target, resume_size=have, headers=headers, expected_size=size, displayed_filename=file.name)
    except OSError:
        if partial.stat().st_size <= size:
            raise
        partial.unlink()
        raise HubError(
            f"More came as {file.name} than {endpoint()} announced, and was deleted; run this again, and check "
            "the proxy if it happens twice."
        ) from None


def _check(file: HubFile, partial: Path, etag: str) -> None:
    """Delete and refuse a file whose checksum is not the published one; show it where the progress was shown."""
    from huggingface_hub.utils import are_progress_bars_disabled, tqdm  # type: ignore[attr-defined]

    sha256 = sha256_of(partial)
    checked = Checked(sha256, sha256 == etag if is_sha256(etag) else None)
    if checked.published is False:
        partial.unlink()
        raise HubError(
            f"What came as {file.name} is not what {endpoint()} published (SHA-256 {sha256}, not {etag}) and was "
            "deleted; run this again, and check the proxy if it happens twice."
        )
    told = f"{file.name}: SHA-256 {sha256}, {checked.verdict}"
    logger.info(told)
    if not are_progress_bars_disabled():
        tqdm.write(told, file=sys.stderr)
