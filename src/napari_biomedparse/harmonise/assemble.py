"""Write ``train.json`` and ``test.json`` from the journal, a record at a time."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO, Any

from napari_biomedparse.files.layout import Split
from napari_biomedparse.harmonise.items import Record
from napari_biomedparse.harmonise.layout import categories


@dataclass
class Counts:
    """What a split holds: images, masks with something in them per target, empty masks, annotated sentences.

    ``left_out`` are images or planes that show nothing, or nothing large enough.
    """

    images: int = 0
    masks: Counter[str] = field(default_factory=Counter)
    empty_masks: int = 0
    sentences: int = 0
    instances: bool = False
    left_out: int = 0


def write_split(
    path: Path,
    split: Split,
    records: Callable[[], Iterator[Record]],
    info: dict[str, Any],
    words: Callable[[str], tuple[int, list[str]]],
) -> Counts:
    """Write the annotations of a split in the fields of BiomedParseData (those of COCO and RefCOCO).

    Parameters
    ----------
    path
        The JSON file; replaced as a whole when it is complete.
    split
        Which split.
    records
        Gives the split's records, as :func:`~napari_biomedparse.harmonise.items.make_item` made them; called twice.
    info
        What the file says of the data set.
    words
        Target -> number of its category, and its sentences.
    """
    counts = Counts()
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(f'{{"info": {_json(info)},\n"licenses": [],\n"categories": {_json(categories())},\n')
        _write_list(file, "images", _images(records(), counts))
        file.write(",\n")
        _write_list(file, "annotations", _annotations(records(), split, words, counts))
        file.write("}\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return counts


def _write_list(file: IO[str], name: str, rows: Iterator[dict[str, Any]]) -> None:
    file.write(f'"{name}": [')
    for number, row in enumerate(rows):
        file.write((",\n" if number else "\n") + _json(row))
    file.write("]")


def _images(records: Iterator[Record], counts: Counts) -> Iterator[dict[str, Any]]:
    numbers = count(1)
    for record in records:
        counts.left_out += record["left_out"]
        for image in record["images"]:
            size = {name: image[name] for name in ("file_name", "height", "width")}
            yield {**size, "id": next(numbers), "group": record["group"]}


def _annotations(
    records: Iterator[Record], split: Split, words: Callable[[str], tuple[int, list[str]]], counts: Counts
) -> Iterator[dict[str, Any]]:
    numbers = count(1)
    for image in (image for record in records for image in record["images"]):
        counts.images += 1
        for annotation in image["annotations"]:
            number, target = next(numbers), annotation["target"]
            category, phrasings = words(target)
            sentences = [
                {"raw": phrase, "sent": phrase, "sent_id": counts.sentences + place}
                for place, phrase in enumerate(phrasings, start=1)
            ]
            counts.sentences += len(sentences)
            counts.masks[target] += annotation["area"] > 0
            counts.empty_masks += annotation["area"] == 0
            counts.instances |= annotation.get("instances", False)
            yield {
                "mask_file": annotation["mask_file"],
                "iscrowd": 0,
                "image_id": counts.images,
                "category_id": category,
                "id": number,
                "file_name": image["file_name"],
                "split": split,
                "sentences": sentences,
                "sent_ids": [sentence["sent_id"] for sentence in sentences],
                "ann_id": number,
                "ref_id": number,
                "area": annotation["area"],
                "bbox": annotation["bbox"],
                "target": target,
            }


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False)
