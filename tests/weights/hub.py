"""A small server on this machine that answers as the Hugging Face hub does for one repository."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

COMMIT = "c0ffee0123456789c0ffee0123456789c0ffee01"


class Request(NamedTuple):
    method: str
    path: str
    range: str | None
    authorization: str | None
    encoding: str | None


class Hub:
    """Serves ``content`` for any path, in the ways that a hub can fail."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.etag = hashlib.sha256(content).hexdigest()
        self.announced = len(content)
        self.status: int | None = None
        """Refuse every request with this status."""
        self.cut_after: int | None = None
        """Close the connection after so many bytes of the file, and at once when asked for the rest."""
        self.knows_ranges = True
        self.storage: str | None = None
        """Send those who want the file's bytes to this address."""
        self.requests: list[Request] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                hub.answer(self)

            def do_GET(self):
                hub.answer(self)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def asked(self, method: str) -> list[Request]:
        return [request for request in self.requests if request.method == method]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        headers = (handler.headers.get(name) for name in ("Range", "Authorization", "Accept-Encoding"))
        asked = Request(handler.command, handler.path, *headers)
        self.requests.append(asked)
        if self.status:
            self.send(handler, self.status, {"Content-Length": "0"})
            return
        about = {"X-Repo-Commit": COMMIT, "X-Linked-Etag": f'"{self.etag}"', "X-Linked-Size": str(self.announced)}
        if self.storage:
            self.send(handler, 302, {**about, "Location": f"{self.storage}/stored", "Content-Length": "0"})
            return
        first = 0
        if asked.range and self.knows_ranges:
            first = int(asked.range.removeprefix("bytes=").removesuffix("-"))
            about["Content-Range"] = f"bytes {first}-{len(self.content) - 1}/{len(self.content)}"
        if asked.method == "GET" and self.cut_after is not None and first >= self.cut_after:
            handler.close_connection = True
            return
        about |= {"Accept-Ranges": "bytes", "Content-Length": str(len(self.content) - first)}
        self.send(handler, 206 if "Content-Range" in about else 200, about)
        if asked.method == "GET":
            handler.wfile.write(self.content[first : self.cut_after])

    @staticmethod
    def send(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()


def isolate(monkeypatch, folder, address: str) -> None:
    """Keep everything that is read and written within ``folder``, and every request at ``address``."""
    import huggingface_hub.constants
    import huggingface_hub.file_download

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HUGGINGFACE_HUB_CACHE", "HF_HOME", "NAPARI_BIOMEDPARSE_ACCEPT_LICENCE", "HF_OIDC_RESOURCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "cache"))
    monkeypatch.setenv("NAPARI_BIOMEDPARSE_MODELS", str(folder / "models"))
    monkeypatch.setenv("NAPARI_BIOMEDPARSE_CONFIG", str(folder / "config"))
    # huggingface_hub read these when it was imported.
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(folder / "token"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    # Otherwise it asks the real hub for the names of programs that may be using it.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_TELEMETRY", True)
    # It writes whole chunks only, and files in tests are smaller than the usual one.
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    monkeypatch.setattr(huggingface_hub.file_download, "time", Hurried)


class Hurried:
    """Stands for the module that huggingface_hub waits with between retries."""

    @staticmethod
    def sleep(seconds: float) -> None:
        pass
