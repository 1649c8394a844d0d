"""Labels of a volume as NIfTI."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np

from napari_biomedparse.io.result import Export, ExportError, need

# Lengths of axes are 16-bit in NIfTI-1.
_LONGEST = 2**15 - 1


def write_nifti(path: Path, result: Export) -> None:
    """Write a volume as NIfTI-1: uint16 where its labels fit, otherwise int32, in the order X, Y, Z.

    The affine holds the sizes of a voxel along X, Y and Z in millimetres, and that these grow to the patient's left,
    back and head, as in each NIfTI that :mod:`~napari_biomedparse.io.volumes` reads and in axial series of DICOM: there
    the labels lie on the scan up to its origin, which is not known here. Without a unit the sizes are kept as they are,
    1 where not known, and the file says that their unit is not known. Names and colours are in an extension with
    Caret's label table, as TotalSegmentator writes it.

    Raises
    ------
    ExportError
        If there is no volume or more than one, a side is too long, a label does not fit, or nibabel is missing.
    """
    nibabel = need("nibabel", "Writing NIfTI", "napari-biomedparse[export]")
    frames = result.frames
    count, depth, height, width = frames.sizes
    if count > 1:
        raise ExportError(
            f"NIfTI holds one volume of labels, but there are {count} frames; choose OME-TIFF or OME-Zarr."
        )
    if depth == 1:
        raise ExportError("NIfTI holds volumes, but this is a plane; choose OME-TIFF or OME-Zarr.")
    if max(depth, height, width) > _LONGEST:
        raise ExportError(f"NIfTI holds up to {_LONGEST} pixels along each axis; choose OME-TIFF or OME-Zarr.")
    kind = result.dtype(np.uint16, np.int32)
    unit = result.length_unit
    factor = unit.millimetres if unit else 1.0
    x, y, z = (float(result.spacing.get(letter, 1.0 / factor)) * factor for letter in "XYZ")
    # NIfTI counts to the right, to the front and to the head.
    affine = np.diag([-x, -y, z, 1.0])
    image = nibabel.Nifti1Image(frames.volume().astype(kind).transpose(2, 1, 0), affine)
    image.header.set_xyzt_units("mm" if unit else "unknown")
    image.header.set_intent("label", name=result.title.encode("ascii", "replace")[:15].decode())
    # TotalSegmentator's code; nibabel does not give the content of an extension with Caret's own.
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, _label_table(result).encode()))
    nibabel.save(image, path)


def _label_table(result: Export) -> str:
    entries = []
    for label, prompt in sorted(result.names.items()):
        parts = result.colours.get(label, (1.0, 1.0, 1.0, 1.0))
        colour = " ".join(
            f'{part}="{value:.4f}"' for part, value in zip(("Red", "Green", "Blue", "Alpha"), parts, strict=True)
        )
        entries.append(f'<Label Key="{label}" {colour}>{escape(prompt)}</Label>')
    return (
        '<?xml version="1.0" encoding="UTF-8"?><CaretExtension><VolumeInformation Index="0"><LabelTable>'
        f"{''.join(entries)}</LabelTable><VolumeType>Label</VolumeType></VolumeInformation></CaretExtension>"
    )
