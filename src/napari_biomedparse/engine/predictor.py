"""Encode an image once, ask it any number of prompts."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_biomedparse.engine.ask import Question, Step, ask
from napari_biomedparse.engine.cache import Cache
from napari_biomedparse.engine.decode import decode
from napari_biomedparse.engine.device import Precision, check_precision, choose_device
from napari_biomedparse.engine.encoder import Encoder
from napari_biomedparse.engine.hounsfield import intensity_for
from napari_biomedparse.engine.meta_objects import encode_meta_objects, rank_meta_objects
from napari_biomedparse.engine.modality import classify_modality, describe
from napari_biomedparse.engine.object_size import zoom_for
from napari_biomedparse.engine.preprocess import Fit, Intensity, check_fit, to_rgb
from napari_biomedparse.engine.presence import presence_in
from napari_biomedparse.engine.prompts import check_prompts, hangs_on_place, unite, words_for
from napari_biomedparse.engine.recognition import LIMIT, Recognition, cannot_guess, guess_modality, judge
from napari_biomedparse.engine.results import ObjectMask
from napari_biomedparse.engine.sizing import plan_sized
from napari_biomedparse.engine.tables import table_of
from napari_biomedparse.engine.views import EncodedImage, plan_view
from napari_biomedparse.errors import SettingError
from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.checkpoint import load_model
from napari_biomedparse.ontology import ModalityError, RecognitionTable, Scale, find_object, scale_of
from napari_biomedparse.weights import locate

# Encodings are kept for further prompts while they fit in this many bytes.
KEPT_BYTES = 1 << 30


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
    SettingError
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
        chosen = choose_device(device)
        check_precision(precision, chosen)
        self.table = table or RecognitionTable()
        self.encoder = Encoder(model.to(chosen).eval(), chosen, precision, Cache(cache_bytes))
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
        SettingError
            As the class.
        """
        path = locate(name)
        model = load_model(path)
        return cls(model, device, precision, table_of(path, model.config.name), cache_bytes)

    @property
    def model(self) -> BiomedParse:
        """The network."""
        return self.encoder.model

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.encoder.device

    @property
    def cache(self) -> Cache:
        """Encodings of seen images."""
        return self.encoder.cache

    def encode(
        self,
        image: NDArray[np.generic],
        fit: Fit = "pad",
        intensity: Intensity = "auto",
        scales: Sequence[Scale] = ("organ",),
        diameter: float | None = None,
    ) -> EncodedImage:
        """Prepare an image and encode it for objects of the given scales.

        Parameters
        ----------
        image
            (H, W) or (H, W, 3) array of any real type.
        fit
            ``"pad"`` keeps the aspect ratio, and shows what is small in tiles, as ``scales`` tells. ``"stretch"`` fills
            the network's square with the whole image, whatever is looked for, as the published demo does.
        intensity
            How values become 0-255: see :func:`~.preprocess.to_rgb`.
        scales
            ``"organ"``: the whole image at once. ``"tissue"``, ``"cell"`` and ``"organelle"``: tiles near the image's
            own pixel size. Prompts of a scale that is not here are still answered: :meth:`segment` then encodes what
            is missing.
        diameter
            Of the cells, in pixels, for a model that was trained to see them in one size; measured by default.

        Raises
        ------
        ImageError
            If the array is not an image.
        SettingError
            If the diameter is not positive, or there is no such ``fit``.
        """
        if diameter is not None:
            zoom_for(diameter, self.model.config)
        encoded = EncodedImage(to_rgb(np.asarray(image), intensity), check_fit(fit), diameter)
        for scale in scales:
            view = encoded.view(scale, self.model.config)
            for batch in view.batches:
                self.encoder.tiles(encoded, view, batch)
        return encoded

    def segment(
        self,
        image: EncodedImage | NDArray[np.generic],
        prompts: Sequence[str],
        fit: Fit = "pad",
        intensity: Intensity = "auto",
        modality: str | None = None,
        diameter: float | None = None,
    ) -> list[ObjectMask]:
        """Find what the prompts name, each on its own.

        Parameters
        ----------
        image
            An encoded image, or the array itself.
        prompts
            Words, one object each.
        fit, intensity, diameter
            As for :meth:`encode`; for arrays only.
        modality
            What kind of image it is; guessed where that decides what a word means. If given, a model with a fixed
            vocabulary is asked in words that it knows, for the kinds or pieces of an object if need be; otherwise it is
            asked the words as they are. A model that takes any words is asked by the name that it looks for the object
            by, whichever of its names is given.
            An array of a CT in Hounsfield units is shown in its site's window, unless another ``intensity`` is given.

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
        steps = self.steps(image, prompts, fit, intensity, modality, diameter=diameter)
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
        diameter: float | None = None,
    ) -> Generator[Step, None, list[ObjectMask]]:
        """Do :meth:`segment` one batch of tiles at a time: yields progress, returns the masks, can be abandoned.

        ``near``, a row and a column of the image, is where it begins; that changes nothing of the result.
        """
        check_prompts(prompts)
        if not isinstance(image, EncodedImage):
            kind = self.table.meant(modality) if modality else None
            image = self.encode(image, fit, intensity_for(image, intensity, kind), (), diameter)
        if modality is None and self.table.classifier and any(hangs_on_place(each, self.table) for each in prompts):
            with suppress(ModalityError):
                modality, _ = self.guess(image)
        return self._answer(image, words_for(prompts, modality, self.table), list(prompts), near)

    def recognize(
        self,
        image: EncodedImage | NDArray[np.generic],
        modality: str | None = None,
        limit: float = LIMIT,
        fit: Fit = "pad",
        intensity: Intensity = "auto",
        diameter: float | None = None,
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
        fit, intensity, diameter
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
        if modality is not None:
            modality = self.table.modality(modality)
        if not isinstance(image, EncodedImage):
            image = self.encode(image, fit, intensity_for(image, intensity, modality), (), diameter)
        scores: dict[str, float] = {}
        if modality is None:
            modality, scores = self.guess(image)
        # The words of the published lists are those that the published model knows.
        said = modality if self.table.vocabulary is None else None
        masks = self.segment(image, self.table.lists[modality], modality=said)
        return Recognition(modality, scores, tuple(judge(masks, self.presences(image, masks, modality), limit)))

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
        if self.table.classifier is None:
            return guess_modality(self.table, image.rgb, lambda names: self.segment(image, names))
        plain = image.rgb.min() == image.rgb.max()
        scores = {} if plain else classify_modality(self.table.classifier, self.describe(image))
        listed = [name for name in scores if name in self.table.lists]
        if not listed:
            raise cannot_guess(self.table)
        return listed[0], scores

    def presences(self, image: EncodedImage, masks: Sequence[ObjectMask], modality: str) -> list[float | None]:
        """Return each mask's p-value: see :func:`~napari_biomedparse.engine.presence.presence_in`."""
        return [presence_in(mask, image.rgb, self.table, modality) for mask in masks]

    def describe(self, image: EncodedImage) -> NDArray[np.float64]:
        """Return numbers that tell kinds of images apart: see :func:`~napari_biomedparse.engine.modality.describe`."""
        view = image.view("organ", self.model.config)
        return describe(self.encoder.tiles(image, view, view.batches[0])[0])

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
        SettingError
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
        features, _ = self.encoder.tiles(encoded, view, view.batches[0])
        with torch.inference_mode():
            words = self.encoder.words(prompts)
            parts = decode(self.model, features, words, self.encoder.precision, self.device)
            found = torch.cat([decoded.text[0] for decoded in parts])
        return rank_meta_objects(self.model, found, self._classes)

    def check_meta_objects(self) -> None:
        """Refuse :meth:`classify` before anything is computed.

        Raises
        ------
        SettingError
            If the model was not trained to do so.
        """
        if not self.model.config.meta_objects:
            raise SettingError(f"The model {self.model.config.name!r} was not trained to recognise meta-objects.")

    def _answer(
        self,
        encoded: EncodedImage,
        words: dict[str, tuple[str, ...]],
        prompts: list[str],
        near: tuple[float, float] | None,
    ) -> Generator[Step, None, list[ObjectMask]]:
        config = self.model.config
        asked = list(dict.fromkeys(word for prompt in prompts for word in words[prompt]))
        questions = self.questions(asked)

        def united(answers: dict[str, ObjectMask]) -> list[ObjectMask]:
            return [unite(prompt, words[prompt], answers) for prompt in prompts]

        def nothing() -> list[ObjectMask]:
            return united({word: ObjectMask(word, np.zeros(encoded.shape, np.float32)) for word in asked})

        for question in questions:
            if not question.sized:
                encoded.view(question.scale, config)
            elif question.view not in encoded.views:
                expected = len(plan_view(encoded.shape, config.cell_zoom, config).tiles)
                for _ in plan_sized(self.encoder, encoded, question.view, question.sized):
                    yield Step(0, expected, nothing)
        return united((yield from ask(self.encoder, encoded, questions, near, united)))

    def sized(self, prompts: Sequence[str], modality: str | None = None) -> str | None:
        """Return the name of what is asked for whose size decides how an image is shown; None if that is nothing.

        Its diameter, :func:`~.sizing.measure`, is what other images of such objects can be encoded with.
        """
        words = words_for(prompts, modality, self.table)
        questions = self.questions([word for prompt in prompts for word in words[prompt]])
        return next((question.sized for question in questions if question.sized), None)

    def questions(self, prompts: Sequence[str]) -> list[Question]:
        """Group prompts by the view of an image that suits their objects."""
        grouped: dict[Question, list[str]] = {}
        for prompt in dict.fromkeys(prompts):
            found, scale = find_object(prompt), scale_of(prompt)
            cored = found is not None and self.model.config.cores and found.id in self.table.cores
            sized = found.name if found and cored and found.id in self.model.config.sized else ""
            grouped.setdefault(Question(scale, (), cored, sized), []).append(prompt)
        return [replace(question, prompts=tuple(asked)) for question, asked in grouped.items()]
