"""Encode an image once, ask it any number of prompts."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from napari_biomedparse.engine.cache import Cache
from napari_biomedparse.engine.decode import decode, probabilities
from napari_biomedparse.engine.device import Precision, arithmetic, check_precision, choose_device
from napari_biomedparse.engine.meta_objects import encode_meta_objects, rank_meta_objects
from napari_biomedparse.engine.modality import classify_modality, describe
from napari_biomedparse.engine.preprocess import Fit, Frame, Intensity, frame_of, lay, to_rgb
from napari_biomedparse.engine.presence import presence_in
from napari_biomedparse.engine.prompts import check_prompts, unite, words_for
from napari_biomedparse.engine.recognition import LIMIT, Recognition, cannot_guess, guess_modality, judge
from napari_biomedparse.engine.results import ObjectMask, overlap
from napari_biomedparse.engine.tables import table_of
from napari_biomedparse.engine.tiling import Mosaic, nearest_first
from napari_biomedparse.engine.views import Batch, EncodedImage, View
from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.checkpoint import load_model
from napari_biomedparse.model.mask_decoder import ImageFeatures
from napari_biomedparse.model.text_encoder import TextFeatures
from napari_biomedparse.ontology import RecognitionTable, Scale, find_object, normalise, scale_of
from napari_biomedparse.weights import locate

# Encodings are kept for further prompts while they fit in this many bytes.
KEPT_BYTES = 1 << 30
# Words that name nothing in a biomedical image. What they find is found whatever one asks for.
NONSENSE = "hello world"


class Step(NamedTuple):
    """Progress of a run: tiles decoded so far, and in all; and a function that returns the masks as far as they are."""

    done: int
    total: int
    preview: Callable[[], list[ObjectMask]]


class Predictor:
    """Segment, detect and recognise objects by words.

    Parameters
    ----------
    model
        The network, in evaluation mode.
    device
        Where to run it: ``"auto"`` (CUDA, then Apple's MPS, then CPU) or a torch device.
    precision
        Arithmetic of the matrix products: ``"float32"``; ``"bfloat16"`` on processors with units for it and on CUDA;
        ``"tf32"`` and ``"float16"`` on CUDA. On a CPU only images are encoded in it, prompts always in float32.
    table
        What is looked for in each modality, and what it looks like when it is there; by default nothing.
    cache_bytes
        Encodings of seen images are kept, the least recently used dropped first, up to this many bytes.

    Raises
    ------
    ValueError
        If the device is unknown or not there, or has no units for the precision.
    """

    def __init__(
        self,
        model: BiomedParse,
        device: str = "auto",
        precision: Precision = "float32",
        table: RecognitionTable | None = None,
        cache_bytes: int = KEPT_BYTES,
    ) -> None:
        self.device = choose_device(device)
        check_precision(precision, self.device)
        self.precision: Precision = precision
        self.model = model.to(self.device).eval()
        self.table = table or RecognitionTable()
        self.cache = Cache(cache_bytes)
        self._classes: torch.Tensor | None = None

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path = "mini",
        device: str = "auto",
        precision: Precision = "float32",
        cache_bytes: int = KEPT_BYTES,
    ) -> Predictor:
        """Load a preset's or a file's weights, and the table for recognition that belongs to them.

        Parameters
        ----------
        name
            ``"mini"`` (in the package), ``"biomedparse-v1"`` (fetched from the hub when first used) or the path of a
            checkpoint.
        device, precision, cache_bytes
            As for the class.

        Raises
        ------
        CheckpointError
            If there are no such weights or they cannot be used.
        ValueError
            As the class.
        """
        path = locate(name)
        model = load_model(path)
        return cls(model, device, precision, table_of(path, model.config.name), cache_bytes)

    def encode(
        self,
        image: NDArray[np.generic],
        fit: Fit = "pad",
        intensity: Intensity = "auto",
        scales: Sequence[Scale] = ("organ",),
    ) -> EncodedImage:
        """Prepare an image and encode it for objects of the given scales.

        Parameters
        ----------
        image
            (H, W) or (H, W, 3) array of any real type.
        fit
            ``"pad"`` keeps the aspect ratio, ``"stretch"`` fills the network's square.
        intensity
            How values become 0-255: see :func:`~.preprocess.to_rgb`.
        scales
            ``"organ"``: the whole image at once. ``"tissue"``, ``"cell"`` and ``"organelle"``: tiles near the image's
            own pixel size. Prompts of a scale that is not here are still answered: :meth:`segment` then encodes what
            is missing.

        Raises
        ------
        ImageError
            If the array is not an image.
        """
        if fit not in ("pad", "stretch"):
            raise ValueError(f"fit must be 'pad' or 'stretch', not {fit!r}.")
        encoded = EncodedImage(to_rgb(np.asarray(image), intensity), fit)
        for scale in scales:
            view = encoded.view(scale, self.model.config)
            for batch in view.batches:
                self._features(encoded, view, batch)
        return encoded

    def segment(
        self,
        image: EncodedImage | NDArray[np.generic],
        prompts: Sequence[str],
        fit: Fit = "pad",
        intensity: Intensity = "auto",
        modality: str | None = None,
    ) -> list[ObjectMask]:
        """Find what the prompts name, each on its own.

        Parameters
        ----------
        image
            An encoded image, or the array itself.
        prompts
            Words, one object each.
        fit, intensity
            As for :meth:`encode`; for arrays only.
        modality
            What kind of image it is. If given, a model with a fixed vocabulary is asked in words that it knows, for
            the kinds or pieces of an object if need be; otherwise the words are asked as they are.

        Returns
        -------
        list of ObjectMask
            One per prompt, in order.

        Raises
        ------
        PromptError
            If there is no prompt or an empty one.
        ImageError
            If the array is not an image.
        """
        steps = self.steps(image, prompts, fit, intensity, modality)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                masks: list[ObjectMask] = end.value
                return masks

    def steps(
        self,
        image: EncodedImage | NDArray[np.generic],
        prompts: Sequence[str],
        fit: Fit = "pad",
        intensity: Intensity = "auto",
        modality: str | None = None,
        near: tuple[float, float] | None = None,
    ) -> Generator[Step, None, list[ObjectMask]]:
        """Do :meth:`segment` one batch of tiles at a time: yields progress, returns the masks, can be abandoned.

        ``near``, a row and a column of the image, is where it begins; that changes nothing of the result.
        """
        check_prompts(prompts)
        if not isinstance(image, EncodedImage):
            image = self.encode(image, fit, intensity, scales=())
        return self._answer(image, words_for(prompts, modality, self.table), list(prompts), near)

    def recognize(
        self,
        image: EncodedImage | NDArray[np.generic],
        modality: str | None = None,
        limit: float = LIMIT,
        fit: Fit = "pad",
        intensity: Intensity = "auto",
    ) -> Recognition:
        """Look for every object of a modality's list.

        Parameters
        ----------
        image
            An encoded image, or the array itself.
        modality
            One of the table's, such as ``"CT-Abdomen"``; by default the one that the table's classifier takes the image
            for, or without a classifier the one whose objects pass the presence test best
            (:func:`~napari_biomedparse.engine.recognition.guess_modality`).
        limit
            p-value below which an object is taken for absent; objects that have none are kept, after those that have.
        fit, intensity
            As for :meth:`encode`; for arrays only.

        Returns
        -------
        Recognition
            A finding per object of the list, most probable first, also for those not found.

        Raises
        ------
        ModalityError
            If there is no list for the modality, or none is given and none fits.
        ImageError
            If the array is not an image.
        """
        encoded = image if isinstance(image, EncodedImage) else self.encode(image, fit, intensity, scales=())
        scores: dict[str, float] = {}
        if modality is None:
            modality, scores = self.guess(encoded)
        modality = self.table.modality(modality)
        masks = self.segment(encoded, self.table.lists[modality])
        return Recognition(modality, scores, tuple(judge(masks, self.presences(encoded, masks, modality), limit)))

    def guess(self, image: EncodedImage) -> tuple[str, dict[str, float]]:
        """Guess what kind of image this is.

        Returns
        -------
        tuple
            One of the table's modalities, and the scores of all that were tried, best first.

        Raises
        ------
        ModalityError
            If none fits.
        """
        if self.table.classifier:
            if image.rgb.min() == image.rgb.max():
                raise cannot_guess(self.table)
            scores = classify_modality(self.table.classifier, self.describe(image))
            return next(name for name in scores if name in self.table.lists), scores
        return guess_modality(self.table, image.rgb, lambda names: self.segment(image, names))

    def presences(self, image: EncodedImage, masks: Sequence[ObjectMask], modality: str) -> list[float | None]:
        """Return each mask's p-value: see :func:`~napari_biomedparse.engine.presence.presence_in`."""
        return [presence_in(mask, image.rgb, self.table, modality) for mask in masks]

    def describe(self, image: EncodedImage) -> NDArray[np.float64]:
        """Return numbers that tell kinds of images apart: see :func:`~napari_biomedparse.engine.modality.describe`."""
        view = image.view("organ", self.model.config)
        return describe(self._features(image, view, view.batches[0])[0])

    def classify(self, image: EncodedImage | NDArray[np.generic], prompts: Sequence[str]) -> list[dict[str, float]]:
        """Say which of 16 meta-objects (liver, vessel, tumor, ...) each prompt's answer belongs to.

        The first call encodes the classes in CLIP's phrasings, which takes some seconds.

        Returns
        -------
        list of dict
            Meta-object -> probability, most probable first, one per prompt in order: see
            :func:`~napari_biomedparse.engine.meta_objects.rank_meta_objects`.

        Raises
        ------
        ValueError
            If the model was not trained to do so.
        PromptError, ImageError
            As :meth:`segment`.
        """
        self.check_meta_objects()
        check_prompts(prompts)
        encoded = image if isinstance(image, EncodedImage) else self.encode(image, scales=())
        if self._classes is None:
            self._classes = encode_meta_objects(self.model)
        view = encoded.view("organ", self.model.config)
        features, _ = self._features(encoded, view, view.batches[0])
        with torch.inference_mode():
            parts = decode(self.model, features, self._encode_text(prompts), self.precision, self.device)
            found = torch.cat([decoded.text[0] for decoded in parts])
        return rank_meta_objects(self.model, found, self._classes)

    def check_meta_objects(self) -> None:
        """Refuse :meth:`classify` before anything is computed.

        Raises
        ------
        ValueError
            If the model was not trained to do so.
        """
        if not self.model.config.meta_objects:
            raise ValueError(f"The model {self.model.config.name!r} was not trained to recognise meta-objects.")

    def _answer(
        self,
        encoded: EncodedImage,
        words: dict[str, tuple[str, ...]],
        prompts: list[str],
        near: tuple[float, float] | None,
    ) -> Generator[Step, None, list[ObjectMask]]:
        asked = list(dict.fromkeys(word for prompt in prompts for word in words[prompt]))

        def united(answers: dict[str, ObjectMask]) -> list[ObjectMask]:
            return [unite(prompt, words[prompt], answers) for prompt in prompts]

        return united((yield from self._run(encoded, asked, near, united)))

    def _run(
        self,
        encoded: EncodedImage,
        prompts: list[str],
        near: tuple[float, float] | None,
        united: Callable[[dict[str, ObjectMask]], list[ObjectMask]],
    ) -> Generator[Step, None, dict[str, ObjectMask]]:
        by_scale: dict[Scale, list[str]] = {}
        for prompt in dict.fromkeys(prompts):
            by_scale.setdefault(scale_of(prompt), []).append(prompt)
        views = {scale: encoded.view(scale, self.model.config) for scale in by_scale}
        total = sum(len(view.tiles) for view in views.values())
        done = 0
        found: dict[str, ObjectMask] = {}
        nothing = np.zeros(encoded.shape, np.float32)

        def preview(asked: Sequence[str] = (), mosaic: Mosaic | None = None) -> list[ObjectMask]:
            masks = {prompt: ObjectMask(prompt, nothing) for prompt in prompts} | found
            if mosaic is not None:
                masks |= {name: ObjectMask(name, plane) for name, plane in zip(asked, mosaic.result(), strict=False)}
            return united(masks)

        yield Step(done, total, preview)
        for scale, asked in by_scale.items():
            view = views[scale]
            key = ("control", encoded.content, view.zoom)
            control = self.cache.get(key, np.ndarray)
            cored = [place for place, prompt in enumerate(asked) if self._knows_cores(prompt)]
            text = self._encode_text(asked if control is not None else [*asked, NONSENSE])
            mosaic = Mosaic(view.tiles, len(text.tokens) + len(cored), encoded.shape, view.overlap)
            for batch in nearest_first(view.batches, near) if near else view.batches:
                features, frame = self._features(encoded, view, batch)
                with torch.inference_mode():
                    parts = decode(self.model, features, text, self.precision, self.device, bool(cored))
                    tiles = probabilities(parts, frame, self.model.config.input_size, cored)
                for tile, answers in zip(batch, tiles, strict=True):
                    mosaic.add(tile, answers)
                done += len(batch)
                yield Step(done, total, partial(preview, asked, mosaic))
            planes = mosaic.result()
            if control is None:
                control = planes[len(asked)] > 0.5
                self.cache.put(key, control)
            cores = dict(zip(cored, planes[len(text.tokens) :], strict=True))
            for place, prompt in enumerate(asked):
                plane = planes[place]
                found[prompt] = ObjectMask(prompt, plane, overlap(plane > 0.5, control), cores.get(place), control)
        return found

    def _knows_cores(self, prompt: str) -> bool:
        found = find_object(prompt)
        return self.model.config.cores and found is not None and found.id in self.table.cores

    @torch.inference_mode()
    def _features(self, encoded: EncodedImage, view: View, batch: Batch) -> tuple[ImageFeatures, Frame]:
        """Encode some tiles, or return their features if they were kept."""
        size = self.model.config.input_size
        key = (encoded.content, view.zoom, batch)
        features = self.cache.get(key, ImageFeatures)
        if features is None:
            squares = np.stack([lay(encoded.rgb[tile.slices], size, encoded.fit, view.zoom)[0] for tile in batch])
            with arithmetic(self.precision, self.device):
                features = self.model.encode_image(torch.from_numpy(squares))
            features = features.float() if self.device.type == "cpu" else features
            self.cache.put(key, features)
        return features, frame_of((batch[0].height, batch[0].width), size, encoded.fit, view.zoom)

    @torch.inference_mode()
    def _encode_text(self, prompts: Sequence[str]) -> TextFeatures:
        return self.model.encode_text([normalise(prompt) for prompt in prompts])
