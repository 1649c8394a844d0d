"""Describe a source that has no description file, by the conventions its folders follow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_biomedparse.harmonise.patterns import walk
from napari_biomedparse.harmonise.source import (
    DESCRIPTIONS,
    Source,
    SourceError,
    find_description,
    make_source,
    read_description,
    read_table_file,
)
from napari_biomedparse.harmonise.volume import ENDINGS, has_ending

IMAGE_FOLDERS = ("images", "image", "imgs", "img")
MASK_FOLDERS = ("masks", "mask", "labels", "label", "annotations", "segmentations", "gt")
EXAMPLE = """modality: CT
site: abdomen
images: scans/{image}.nii.gz
masks:
- files: masks/{image}.nii.gz
  labels: {1: liver, 2: spleen}"""


def load_source(folder: Path, description: Path | None = None, **given: Any) -> Source:
    """Return the description of a source.

    Parameters
    ----------
    folder
        The source's folder.
    description
        A description file; by default the one in the folder, or else what :func:`look` finds.
    given
        Values that replace the description's; None replaces nothing.

    Raises
    ------
    SourceError
        If the folder is missing, follows no known convention, or the description is wrong.
    """
    if not folder.is_dir():
        raise SourceError(f"There is no folder {folder}.")
    content = read_description(description) if description else find_description(folder)
    if content is None:
        content = look(folder)
    content = {"name": folder.resolve().name, **content}
    content |= {key: value for key, value in given.items() if value is not None}
    for rule in content["masks"] if isinstance(content.get("masks"), list) else ():
        if isinstance(rule, dict) and isinstance(rule.get("labels"), str):
            rule["labels"] = read_table_file(folder / rule["labels"])
    return make_source(content, str(folder))


def look(folder: Path) -> dict[str, Any]:
    """Return what a folder's layout tells of a source; modality and site are often left to be said.

    Raises
    ------
    SourceError
        If it follows none of the conventions of ``docs/data.md``.
    """
    conventions: tuple[Callable[[Path], dict[str, Any] | None], ...] = (_decathlon, _two_folders, _folder_per_label)
    for convention in conventions:
        found = convention(folder)
        if found:
            return found
    raise SourceError(
        f"How images and masks lie in {folder} is not known. Write {DESCRIPTIONS[0]} there, such as:\n{EXAMPLE}"
    )


def _decathlon(folder: Path) -> dict[str, Any] | None:
    """Medical Segmentation Decathlon and nnU-Net: ``imagesTr``, ``labelsTr`` and ``dataset.json``."""
    path = folder / "dataset.json"
    if not (path.is_file() and (folder / "imagesTr").is_dir() and (folder / "labelsTr").is_dir()):
        return None
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        channels = list((about.get("modality") or about.get("channel_names") or {}).values())
        rule: dict[str, Any] = {"labels": dict(about["labels"])}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise SourceError(f"{path} is not the dataset.json of a Decathlon data set ({error!r}).") from None
    ending = _ending(folder / "imagesTr")
    numbered = "_0000" if any(name.endswith(f"_0000{ending}") for name in _some(folder / "imagesTr")) else ""
    rule["files"] = f"labelsTr/{{image}}{_ending(folder / 'labelsTr')}"
    content: dict[str, Any] = {"images": f"imagesTr/{{image}}{numbered}{ending}", "masks": [rule]}
    names = {"name": "name", "licence": "licence", "license": "licence", "reference": "source"}
    content |= {ours: str(about[theirs]) for theirs, ours in names.items() if about.get(theirs)}
    if len(channels) == 1:
        content["modality"] = "MRI" if str(channels[0]).upper() in ("MR", "MRI") else str(channels[0])
    return content


def _two_folders(folder: Path) -> dict[str, Any] | None:
    """``images/`` beside ``masks/``: equal names, names with a label behind, or a folder per label."""
    images, masks = _named(folder, IMAGE_FOLDERS), _named(folder, MASK_FOLDERS)
    if images is None or masks is None:
        return None
    inside = [path for path in _folders(masks) if _some(path)]
    if inside and not _some(masks):
        rule: dict[str, Any] = {"files": f"{masks.name}/{{label}}/{{image}}{_ending(*inside)}"}
    else:
        ending = _ending(masks)
        stems = {name.removesuffix(_ending(images)) for name in _some(images)}
        equal = any(name.removesuffix(ending) in stems for name in _some(masks))
        rule = {"files": f"{masks.name}/{{image}}{'' if equal else '_{label}'}{ending}"}
        tables = [f"{place}labels.{kind}" for place in ("", f"{masks.name}/") for kind in ("json", "csv")]
        table = next((name for name in tables if (folder / name).is_file()), None)
        if table and equal:
            rule["labels"] = table
    return {"images": f"{images.name}/{{image}}{_ending(images)}", "masks": [rule]}


def _folder_per_label(folder: Path) -> dict[str, Any] | None:
    """``images/`` beside a folder of masks for each label."""
    images = _named(folder, IMAGE_FOLDERS)
    others = [path for path in _folders(folder) if path != images and _some(path)]
    if images is None or not others:
        return None
    rules = [{"files": f"{path.name}/{{image}}{_ending(path)}", "label": path.name} for path in others]
    return {"images": f"{images.name}/{{image}}{_ending(images)}", "masks": rules}


def _folders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]


def _named(folder: Path, names: tuple[str, ...]) -> Path | None:
    """Return the folder that has the first of these names, in capitals or not."""
    inside = {path.name.lower(): path for path in _folders(folder)}
    return next((inside[name] for name in names if name in inside), None)


def _some(folder: Path) -> list[str]:
    """Return the names of images in a folder, of the first thousand files."""
    names = (name for name, _ in zip(walk(folder), range(1000), strict=False))
    return [name for name in names if "/" not in name and has_ending(name, ENDINGS)]


def _ending(*folders: Path) -> str:
    """Return the ending that the images of some folders have.

    Raises
    ------
    SourceError
        If there is no image, or images of several kinds.
    """
    names = [name for folder in folders for name in _some(folder)]
    endings = {name[-len(ending) :] for name in names for ending in ENDINGS if name.lower().endswith(ending)}
    if len(endings) != 1:
        what = "no images" if not endings else f"files ending in {' and '.join(sorted(endings))}"
        raise SourceError(f"{folders[0]} has {what}; say in {DESCRIPTIONS[0]} which are the images and masks.")
    return endings.pop()
