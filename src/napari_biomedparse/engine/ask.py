"""Ask an encoded image for objects: what each tile shows of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.engine.encoder import Encoder
from napari_biomedparse.engine.results import ObjectMask, overlap
from napari_biomedparse.engine.tiling import Mosaic, nearest_first
from napari_biomedparse.engine.views import EncodedImage
from napari_biomedparse.ontology import Scale

# Words that name nothing in a biomedical image. What they find is found whatever one asks for.
NONSENSE = "hello world"

# What was found so far -> the answers to what was asked.
United = Callable[[dict[str, ObjectMask]], list[ObjectMask]]


class Step(NamedTuple):
    """Progress of a run: tiles decoded so far, and in all; and a function that returns the masks as far as they are."""

    done: int
    total: int
    preview: Callable[[], list[ObjectMask]]


@dataclass(frozen=True)
class Question:
    """Prompts that are asked of the same view of an image.

    Attributes
    ----------
    scale
        Of their objects.
    prompts
        The words.
    cored
        Whether the model knows the inner parts of their objects.
    sized
        Name of their object, if its size in the image decides how much that is enlarged.
    """

    scale: Scale
    prompts: tuple[str, ...]
    cored: bool = False
    sized: str = ""

    @property
    def view(self) -> str:
        """Name of the view, in :attr:`.views.EncodedImage.views`."""
        return f"sized {self.sized}" if self.sized else self.scale


def ask(
    encoder: Encoder,
    image: EncodedImage,
    questions: Sequence[Question],
    near: tuple[float, float] | None,
    united: United,
) -> Generator[Step, None, dict[str, ObjectMask]]:
    """Ask all questions of views that are planned, one batch of tiles at a time; returns the mask of each prompt.

    ``near``, a row and a column of the image, is where it begins; that changes nothing of the result.
    """
    total = sum(len(image.views[question.view].tiles) for question in questions)
    done = 0
    found: dict[str, ObjectMask] = {}
    nothing = np.zeros(image.shape, np.float32)
    unknown = {prompt: ObjectMask(prompt, nothing) for question in questions for prompt in question.prompts}

    def preview(asked: Sequence[str] = (), mosaic: Mosaic | None = None) -> list[ObjectMask]:
        planes: Sequence[NDArray[np.float32]] = () if mosaic is None else list(mosaic.result())
        now = {name: ObjectMask(name, plane) for name, plane in zip(asked, planes, strict=False)}
        return united(unknown | found | now)

    yield Step(done, total, preview)
    for question in questions:
        view, asked = image.views[question.view], question.prompts
        key = ("control", image.content, view.zoom)
        control = encoder.cache.get(key, np.ndarray)
        cored = range(len(asked)) if question.cored else ()
        text = encoder.words(asked if control is not None else [*asked, NONSENSE])
        mosaic = Mosaic(view.tiles, len(text.tokens) + len(cored), image.shape, view.overlap)
        for batch in nearest_first(view.batches, near) if near else view.batches:
            answers = encoder.answers(image, view, batch, text, cored)
            for tile, planes in zip(batch, answers, strict=True):
                mosaic.add(tile, planes)
            done += len(batch)
            yield Step(done, total, partial(preview, asked, mosaic))
        planes = mosaic.result()
        if control is None:
            control = planes[len(asked)] > 0.5
            encoder.cache.put(key, control)
        cores: Mapping[int, NDArray[np.float32]] = dict(zip(cored, planes[len(text.tokens) :], strict=True))
        for place, prompt in enumerate(asked):
            plane = planes[place]
            found[prompt] = ObjectMask(prompt, plane, overlap(plane > 0.5, control), cores.get(place), control)
    return found
