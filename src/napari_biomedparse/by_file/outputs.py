"""Which files a command writes for its images, and writing them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_biomedparse.by_file.overlay import draw_overlay
from napari_biomedparse.engine.labels import LabelImage
from napari_biomedparse.engine.measure import Row, measure_objects, table_columns
from napari_biomedparse.engine.results import ObjectMask
from napari_biomedparse.errors import SettingError
from napari_biomedparse.io.coco import CocoDataset
from napari_biomedparse.io.names import names_of
from napari_biomedparse.io.read import Picture
from napari_biomedparse.io.write import write_json, write_labels, write_picture, write_table
from napari_biomedparse.ontology import find_object


@dataclass(frozen=True)
class Outputs:
    """Where results go, and what is written besides labels, their names and a table of objects.

    Parameters
    ----------
    folder
        Of all files.
    overlay
        A picture of the labels over each image.
    coco
        The objects of all images in one file.
    findings
        A table of what was looked for, found or not, for each image.
    scene
        Which image of each file, as part of its results' names; None for files with one.
    """

    folder: Path
    overlay: bool = False
    coco: bool = False
    findings: bool = False
    scene: str | None = None

    @property
    def coco_path(self) -> Path:
        """The file with the objects of all images."""
        return self.folder / "coco.json"

    def of(self, image: Path) -> dict[str, Path]:
        """Return an image's files: ``labels``, ``names``, ``objects``, and ``overlay`` and ``findings`` if wanted."""
        (name,) = names_of(image, [self.scene])
        paths = {
            "labels": self.folder / f"{name}_labels.ome.tif",
            "names": self.folder / f"{name}_labels.json",
            "objects": self.folder / f"{name}_objects.csv",
        }
        if self.overlay:
            paths["overlay"] = self.folder / f"{name}_overlay.png"
        if self.findings:
            paths["findings"] = self.folder / f"{name}_findings.csv"
        return paths

    def check(self, images: Sequence[Path], overwrite: bool) -> None:
        """Refuse to write over results or to write two images' results to one file.

        Raises
        ------
        SettingError
            If that would happen.
        """
        targets: dict[Path, Path] = {}
        _check_free([self.coco_path] if self.coco else [], overwrite)
        for image in images:
            paths = self.of(image).values()
            for path in paths:
                if path in targets:
                    raise SettingError(f"{targets[path]} and {image} would both be written to {path}; use two folders.")
                targets[path] = image
            _check_free(paths, overwrite)

    def write(
        self,
        picture: Picture,
        rgb: NDArray[np.uint8],
        labels: LabelImage,
        masks: Sequence[ObjectMask],
        about: Mapping[str, Any],
        coco: CocoDataset | None,
    ) -> dict[str, Path]:
        """Write an image's labels, names, objects and overlay, and add the objects to ``coco``.

        Parameters
        ----------
        picture
            The image.
        rgb
            What the network saw of it.
        labels, masks
            What was found.
        about
            Written beside the names of the labels' values.
        coco
            The objects of all images, if wanted.

        Returns
        -------
        dict
            The files, as :meth:`of` names them.
        """
        paths = self.of(picture.path)
        rows: list[Row] = measure_objects(labels, masks, picture.pixel_size)
        write_labels(paths["labels"], labels, picture.pixel_size)
        write_json(paths["names"], {"image": str(picture.path), **about, "names": labels.names})
        write_table(paths["objects"], rows, table_columns(picture.pixel_size))
        if self.overlay:
            write_picture(paths["overlay"], draw_overlay(rgb, labels))
        if coco is not None:
            coco.add(picture.path, labels, rows)
        return paths


def coco_dataset(prompts: Sequence[str], model: str) -> CocoDataset:
    """Return an empty COCO data set for what is looked for, each in its group of the ontology."""
    objects = {prompt: find_object(prompt) for prompt in prompts}
    return CocoDataset(model, {prompt: entry.group if entry else "" for prompt, entry in objects.items()})


def _check_free(paths: Iterable[Path], overwrite: bool) -> None:
    for path in paths:
        if path.exists() and not overwrite:
            raise SettingError(f"{path} is there already; add --overwrite to replace it, or choose another folder.")
