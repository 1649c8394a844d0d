"""Small sources to build data sets from, and a language model's server that says what it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from napari_biomedparse.harmonise.build import build_dataset
from napari_biomedparse.harmonise.conventions import load_source
from napari_biomedparse.harmonise.index import SourceIndex
from napari_biomedparse.harmonise.items import Settings
from napari_biomedparse.harmonise.mapping import Matching, map_labels
from napari_biomedparse.harmonise.review import Review

SMALL = Settings(size=32, test=0.3, seed=1, min_pixels=1)


def build(folder: Path, out: Path, settings: Settings = SMALL, review: Review | None = None, **options: Any) -> Any:
    """Build a data set, its labels matched offline."""
    review = review or Review(out / "review.csv")
    with SourceIndex(folder, load_source(folder), None) as index:
        map_labels(index.labels(), index.source, review, Matching())
        return build_dataset(index, review, out, settings, **options)


def annotations(out: Path, split: str) -> Any:
    """What a split's JSON file says."""
    return json.loads((out / f"{split}.json").read_text())


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def describe(folder: Path, **content: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "biomedparse.yaml").write_text(yaml.safe_dump(content, allow_unicode=True))
    return folder


def content_of(folder: Path) -> dict[str, bytes]:
    """Everything in a folder, but for the journal, whose lines come in the order in which images were made."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.name != "build.jsonl"}


@pytest.fixture
def discs_source(tmp_path):
    """Forty micrographs of ten patients, with a mask file for each label: Nuclei always, a cytoplasm mostly."""

    def make(folder: Path = tmp_path / "discs", patients: int = 10, side: int = 40) -> Path:
        describe(
            folder,
            **{"modality": "fluorescence microscopy", "site": "cell", "licence": "CC0"},
            images="img/{image}.png",
            masks=[{"files": "seg/{image}_{label}.png"}],
            group=r"(p\d+)_",
        )
        rows, columns = np.indices((side, side))
        for patient in range(patients):
            for number in range(4):
                radius = np.hypot(rows - side / 2 - number, columns - side / 2 + patient % 3)
                inner, outer = radius < side / 6, radius < side / 3
                pixels = (outer * 60 + inner * 140 + (rows + columns + patient) % 7).astype(np.uint8)
                save(folder / f"img/p{patient}_{number}.png", pixels)
                save(folder / f"seg/p{patient}_{number}_Nuclei.png", (inner * 255).astype(np.uint8))
                if number:
                    save(folder / f"seg/p{patient}_{number}_cell_cytoplasms.png", (outer ^ inner).astype(np.uint8))
        return folder

    return make


@dataclass
class Server:
    """What the server is to answer, by turns (the last again and again), and what it was asked."""

    address: str
    answers: list[Callable[[dict], Any] | str | int | float] = field(default_factory=list)
    asked: list[dict] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    def labels(self, question: int = -1) -> list[str]:
        """The labels that a question was about."""
        return json.loads(self.asked[question]["messages"][1]["content"])["labels"]


@pytest.fixture
def server():
    """A server on this machine that speaks OpenAI's chat completions."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.asked.append(body)
            state.keys.append(self.headers["Authorization"])
            answer = state.answers.pop(0) if len(state.answers) > 1 else state.answers[0]
            if isinstance(answer, float):
                time.sleep(answer)
                answer = 500
            if isinstance(answer, int):
                self.send_response(answer)
                self.end_headers()
                return
            text = answer if isinstance(answer, str) else json.dumps(answer(body))
            content = json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()
            self.send_response(200 if self.path == "/v1/chat/completions" else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.daemon_threads = True
    state = Server(f"http://127.0.0.1:{served.server_port}/v1")
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    served.shutdown()
    thread.join()
    served.server_close()


def dictionary(known: dict[str, str | None], confidence: float = 0.9) -> Callable[[dict], Any]:
    """Return a language model that knows some labels, and names the others itself."""

    def answer(body: dict) -> Any:
        labels = json.loads(body["messages"][1]["content"])["labels"]
        return {
            "labels": [
                {
                    "label": label,
                    "object": known.get(label),
                    "name": f"free {label}",
                    "confidence": confidence,
                    "phrasings": [f"the {label} you see", f"{label}+area"],
                }
                for label in labels
            ]
        }

    return answer
