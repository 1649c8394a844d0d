"""Downloads from the hub: once, checked, gone on with after a break, and each failure as one sentence."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.errors import HfHubHTTPError

from napari_biomedparse import CheckpointError, Predictor
from napari_biomedparse.weights import licence, locate
from napari_biomedparse.weights.checksum import check_cached
from napari_biomedparse.weights.hub_errors import HubError
from tests.weights.hub import COMMIT, Hub, isolate

NAME = "biomedparse-v1"
CONTENT = bytes(range(256)) * 40  # ten chunks


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub with a file that this user may download."""
    hub = Hub(CONTENT)
    isolate(monkeypatch, tmp_path, hub.address)
    licence.accept(NAME)
    yield hub
    hub.stop()


def left_over(folder):
    """Files that a download left besides what belongs into the cache."""
    return [path for path in folder.rglob("*") if "incomplete" in path.name]


def test_a_file_is_downloaded_once_and_found_without_network(hub, tmp_path, capsys):
    path = locate(NAME)
    assert f"SHA-256 {hashlib.sha256(CONTENT).hexdigest()}, as published" in capsys.readouterr().err
    assert path.read_bytes() == CONTENT
    assert path == tmp_path / f"cache/models--microsoft--BiomedParse/snapshots/{COMMIT}/biomedparse_v1.pt"
    assert check_cached(path).published
    assert hub.asked("HEAD")[0].path == "/microsoft/BiomedParse/resolve/main/biomedparse_v1.pt"
    assert [request.path for request in hub.asked("GET")] == [
        f"/microsoft/BiomedParse/resolve/{COMMIT}/biomedparse_v1.pt"
    ]
    assert not left_over(tmp_path)
    asked = len(hub.requests)
    assert locate(NAME) == path
    assert len(hub.requests) == asked
    hub.stop()
    assert locate(NAME) == path


def test_a_download_that_broke_off_goes_on_where_it_stopped(hub, tmp_path):
    hub.cut_after = 5000
    with pytest.raises(HubError, match=r"biomedparse_v1\.pt broke off after 5\.0 kB.*run this again"):
        locate(NAME)
    (partial,) = left_over(tmp_path)
    assert partial.read_bytes() == CONTENT[:5000]
    hub.cut_after = None
    hub.requests.clear()
    assert locate(NAME).read_bytes() == CONTENT
    assert [(request.range, request.encoding) for request in hub.asked("GET")] == [("bytes=5000-", "identity")]
    assert not left_over(tmp_path)


def test_a_server_without_ranges_sends_all_of_it_again(hub):
    hub.cut_after = 5000
    with pytest.raises(HubError):
        locate(NAME)
    hub.cut_after, hub.knows_ranges = None, False
    assert locate(NAME).read_bytes() == CONTENT


def test_a_partial_file_that_is_too_long_is_begun_anew(hub, tmp_path):
    hub.cut_after = 5000
    with pytest.raises(HubError):
        locate(NAME)
    (partial,) = left_over(tmp_path)
    partial.write_bytes(b"x" * (len(CONTENT) + 1))
    hub.cut_after = None
    assert locate(NAME).read_bytes() == CONTENT


def test_a_wrong_file_is_deleted_and_refused(hub, tmp_path):
    hub.content = CONTENT[::-1]
    with pytest.raises(HubError, match=r"not what .* published.*deleted; run this again") as refused:
        locate(NAME)
    assert hashlib.sha256(hub.content).hexdigest() in str(refused.value)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.stat().st_size]
    hub.content = CONTENT
    assert locate(NAME).read_bytes() == CONTENT


def test_a_file_that_is_longer_than_announced_is_deleted_and_refused(hub, tmp_path):
    hub.announced = len(CONTENT) - 1
    with pytest.raises(HubError, match=r"More came as .* announced, and was deleted; run this again"):
        locate(NAME)
    assert not left_over(tmp_path)


def test_a_file_that_changed_in_the_cache_is_noticed(hub):
    path = locate(NAME)
    path.write_bytes(CONTENT + b"x")
    assert check_cached(path).published is False


@pytest.fixture
def no_links(monkeypatch):
    """A file system without symbolic links, as Windows has without its mode for developers."""
    monkeypatch.setattr("huggingface_hub.file_download.are_symlinks_supported", lambda *folder: False)


def large_files(folder):
    return [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size >= len(CONTENT)]


def test_without_links_a_file_is_stored_once_and_still_checked(hub, no_links, tmp_path, monkeypatch):
    # As much as the file takes, and no more.
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=len(CONTENT)))
    path = locate(NAME)
    assert not path.is_symlink()
    assert large_files(tmp_path) == [path]
    assert check_cached(path).published
    asked = len(hub.requests)
    assert locate(NAME) == path
    assert len(hub.requests) == asked
    path.write_bytes(CONTENT[:-1] + b"x")
    assert check_cached(path).published is False
    path.unlink()
    assert check_cached(locate(NAME)).published


def test_without_links_what_was_fetched_before_is_moved_and_not_copied(hub, no_links, tmp_path):
    blob = tmp_path / "cache/models--microsoft--BiomedParse/blobs" / hub.etag
    blob.parent.mkdir(parents=True)
    blob.write_bytes(CONTENT)
    path = locate(NAME)
    assert large_files(tmp_path) == [path]
    assert check_cached(path).published
    assert not hub.asked("GET")


def test_without_links_a_file_of_another_program_has_no_published_checksum(hub, no_links):
    path = huggingface_hub.hf_hub_download(
        "microsoft/BiomedParse", "biomedparse_v1.pt", cache_dir=os.environ["HF_HUB_CACHE"], endpoint=hub.address
    )
    assert locate(NAME) == Path(path)
    assert check_cached(locate(NAME)).published is None


def test_a_blob_that_repositories_share_is_no_damage(hub, tmp_path):
    path = locate(NAME)
    blob = path.resolve()
    shared = tmp_path / "cache/blobs/ab" / ("ab" * 32)
    shared.parent.mkdir(parents=True)
    blob.replace(shared)
    blob.symlink_to(shared)
    assert check_cached(path).published
    shared.write_bytes(b"x")
    assert check_cached(path).published is False


def test_a_users_own_file_is_compared_with_nothing(tmp_path):
    path = tmp_path / ("ab" * 32)
    path.write_bytes(CONTENT)
    assert check_cached(path).published is None


def test_a_file_without_a_published_checksum_is_said_to_have_none(hub):
    hub.etag = "0123456789abcdef"
    checked = check_cached(locate(NAME))
    assert checked.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert checked.published is None


def test_a_file_with_the_right_checksum_that_is_no_checkpoint_is_refused(hub):
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        Predictor.from_pretrained(NAME, "cpu")


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, r"\(401\); log in with `hf auth login` or set HF_TOKEN"),
        (403, r"microsoft/BiomedParse .*\(403\); accept the terms on that page"),
        (404, r"has no biomedparse_v1\.pt \(404\)"),
        (503, "error 503; try again later"),
    ],
)
def test_what_the_hub_refuses_is_said(hub, status, sentence):
    hub.status = status
    with pytest.raises(HubError, match=sentence):
        locate(NAME)


def test_a_link_into_the_storage_that_expired_is_said_and_what_came_is_kept(hub):
    storage = Hub(CONTENT)
    hub.storage = storage.address
    storage.cut_after = 5000
    with pytest.raises(HubError, match="broke off"):
        locate(NAME)
    storage.cut_after, storage.status = None, 403
    with pytest.raises(HubError, match=r"biomedparse_v1\.pt answers with error 403; run this again"):
        locate(NAME)
    storage.status = None
    assert locate(NAME).read_bytes() == CONTENT
    assert storage.asked("GET")[-1].range == "bytes=5000-"
    storage.stop()


def test_a_hub_that_is_not_there_is_said(hub):
    hub.stop()
    with pytest.raises(HubError, match=f"{hub.address} cannot be reached.*check the network.*models import"):
        locate(NAME)


def test_another_server_than_a_hub_is_said(hub):
    hub.etag = "../../up"
    with pytest.raises(HubError, match="does not answer as a Hugging Face hub does; check HF_ENDPOINT"):
        locate(NAME)


@pytest.mark.parametrize(
    "address",
    [
        "huggingface.co",
        "ftp://huggingface.co",
        "https://",
        "http://127.0.0.1:port",
        "http://[::1",
        "http://hugging face",
    ],
)
def test_an_endpoint_that_is_no_address_is_said(hub, monkeypatch, address):
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(CheckpointError, match="HF_ENDPOINT must be an address"):
        locate(NAME)


@pytest.mark.parametrize("blanks", ["{} ", " {}", "{}/ "])
def test_blanks_around_the_endpoint_are_said_before_anything_is_fetched(hub, monkeypatch, blanks):
    monkeypatch.setenv("HF_ENDPOINT", blanks.format(hub.address))
    with pytest.raises(CheckpointError, match=r"HF_ENDPOINT must be an address .*; correct or unset it"):
        locate(NAME)
    assert not hub.requests


@pytest.mark.parametrize("address", ["http://127.0.0.1:80 ", "http://127.0.0.1:port", "http://[::1"])
def test_an_endpoint_that_the_library_cannot_be_imported_with_is_said(hub, address):
    command = [sys.executable, "-m", "napari_biomedparse", "models", "list"]
    environment = os.environ | {"HF_ENDPOINT": address}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: HF_ENDPOINT must be an address")
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def new_session(monkeypatch):
    """Let the HTTP client read the proxies of the environment anew, before and after."""
    for scheme in ("http", "https", "all", "no"):
        for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
            monkeypatch.delenv(name, raising=False)
    close = getattr(huggingface_hub, "close_session", lambda: None)
    close()
    yield
    close()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("address", ["http://[::1", "htp://me:secret@x", "http://proxy:port"])
def test_a_proxy_that_is_no_address_is_said_without_its_password(hub, new_session, monkeypatch, variable, address):
    monkeypatch.setenv(variable, address)
    with pytest.raises(
        CheckpointError, match=f"^{variable} must be an address such as .*; correct or unset it"
    ) as said:
        locate(NAME)
    assert "secret" not in str(said.value)
    assert not hub.requests
    monkeypatch.setenv("NO_PROXY", "*")
    assert locate(NAME).read_bytes() == CONTENT


@pytest.mark.skipif(find_spec("socksio") is not None, reason="the package for SOCKS proxies is there")
def test_a_socks_proxy_without_its_package_is_said(hub, new_session, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(CheckpointError, match=r"ALL_PROXY names a SOCKS proxy.*pip install socksio.*HTTP proxy"):
        locate(NAME)


@pytest.mark.parametrize("address", ["127.0.0.1:9", "http://127.0.0.1:9"])
def test_a_proxy_that_is_not_there_is_said(hub, new_session, monkeypatch, address):
    monkeypatch.setenv("http_proxy", address)
    with pytest.raises(HubError, match=r"cannot be reached.*check the network, the proxy"):
        locate(NAME)
    assert not hub.requests


def test_what_the_client_refuses_of_the_settings_is_said(hub, monkeypatch):
    client = sys.modules[HfHubHTTPError.__bases__[0].__module__]

    def refuse(url):
        raise client.InvalidURL("Invalid port: ':1'")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", refuse)
    with pytest.raises(HubError, match=r"cannot be .*check .*HF_ENDPOINT"):
        locate(NAME)


def test_a_token_that_cannot_be_sent_is_said(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "hf_ünï")
    with pytest.raises(CheckpointError, match=r"HF_TOKEN is no token.*copy it again from .*or unset it"):
        locate(NAME)
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "token").write_text("hf_ünï", encoding="utf-8")
    with pytest.raises(CheckpointError, match="`hf auth login` has kept is no token"):
        locate(NAME)
    assert not hub.requests


def test_offline_mode_asks_nobody(hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        locate(NAME)
    assert not hub.requests


def test_the_token_goes_to_the_hub_and_not_to_its_storage(hub, monkeypatch):
    storage = Hub(CONTENT)
    hub.storage = storage.address
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert locate(NAME).read_bytes() == CONTENT
    storage.stop()
    assert {request.authorization for request in hub.requests} == {"Bearer hf_secret"}
    assert [(request.method, request.authorization) for request in storage.requests] == [("GET", None)]


def test_without_a_token_none_is_sent(hub):
    locate(NAME)
    assert {request.authorization for request in hub.requests} == {None}


def test_a_full_disk_is_noticed_before(hub, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=100))
    with pytest.raises(CheckpointError, match=r"100 bytes left and 10\.2 kB are needed; make room"):
        locate(NAME)
    assert not hub.asked("GET")


def test_a_disk_that_fills_up_is_said_and_what_came_is_kept(hub, monkeypatch):
    def fill(url, file, **options):
        file.write(CONTENT[:2000])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("huggingface_hub.file_download.http_get", fill)
        with pytest.raises(HubError, match=r"No space left on device.; make room, or set HF_HUB_CACHE"):
            locate(NAME)
    assert locate(NAME).read_bytes() == CONTENT
    assert hub.asked("GET")[-1].range == "bytes=2000-"


@pytest.mark.parametrize(
    ("variables", "folder"),
    [({"HF_HUB_CACHE": "a"}, "a"), ({"HF_HOME": "b"}, "b/hub"), ({"XDG_CACHE_HOME": "c"}, "c/huggingface/hub")],
)
def test_the_cache_is_where_the_environment_says(hub, monkeypatch, tmp_path, variables, folder):
    monkeypatch.delenv("HF_HUB_CACHE")
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    assert locate(NAME).is_relative_to(tmp_path / folder)


def test_imported_and_converted_files_come_before_the_cache(hub, tmp_path):
    locate(NAME)
    (tmp_path / "models").mkdir()
    for ending in ("pt", "safetensors"):
        path = tmp_path / f"models/{NAME}.{ending}"
        path.write_bytes(b"")
        assert locate(NAME) == path
