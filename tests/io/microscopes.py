"""Files as the microscopes of three makers write them, as small as their readers allow.

CZI is written by Zeiss's own library. For LIF and ND2 there is no writer; what is written here follows the readers
(liffile, nd2): for ND2 the form with metadata in XML, which its version 2 had.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Micrometres of a pixel along z, y and x, and seconds between time points.
SIZES, STEP = (2.0, 0.5, 0.25), 1.5


def write_czi(path: Path, stack: NDArray[np.uint16], names: tuple[str, ...]) -> None:
    """Write a stack (T, C, Z, Y, X)."""
    from pylibCZIrw import czi

    with czi.create_czi(str(path)) as file:
        for t, c, z in np.ndindex(stack.shape[:3]):
            file.write(np.ascontiguousarray(stack[t, c, z])[..., None], plane={"T": t, "C": c, "Z": z})
        metres = [size * 1e-6 for size in SIZES]
        file.write_metadata(
            "stack",
            channel_names=dict(enumerate(names)),
            scale_z=metres[0],
            scale_y=metres[1],
            scale_x=metres[2],
        )


def write_slide(
    path: Path,
    picture: NDArray[np.uint8],
    tile: int,
    corner: tuple[int, int],
) -> None:
    """Write a coloured picture (h, w, 3) as a CZI of tiles."""
    from pylibCZIrw import czi

    with czi.create_czi(str(path)) as file:
        for row in range(0, picture.shape[0], tile):
            for column in range(0, picture.shape[1], tile):
                # The library writes colours as they are kept, blue first.
                part = np.ascontiguousarray(picture[row : row + tile, column : column + tile, ::-1])
                file.write(part, location=(corner[1] + column, corner[0] + row))
        file.write_metadata("slide", scale_y=5e-7, scale_x=5e-7)


def write_lif(path: Path, scenes: dict[str, NDArray[np.uint8]]) -> None:
    """Write stacks (T, C, Z, Y, X), each a scene."""
    elements, blocks = [], []
    for number, (name, stack) in enumerate(scenes.items()):
        length = dict(zip("TCZYX", stack.shape, strict=True))
        strides = dict(zip("TZCYX", np.moveaxis(stack, 1, 2).copy().strides, strict=True))
        channels = "".join(
            f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="8" NameOfMeasuredQuantity="" Min="0" '
            f'Max="255" Unit="" LUTName="Green" IsLUTInverted="0" BytesInc="{c * strides["C"]}" BitInc="0" />'
            for c in range(length["C"])
        )
        metres = dict(zip("ZYX", SIZES, strict=True))
        dimensions = "".join(
            f'<DimensionDescription DimID="{place}" NumberOfElements="{length[letter]}" Origin="0" '
            f'Length="{(length[letter] - 1) * (metres[letter] * 1e-6 if letter in metres else STEP)}" '
            f'Unit="{"m" if letter in metres else "s"}" BytesInc="{strides[letter]}" BitInc="0" />'
            for place, letter in enumerate("XYZT", start=1)
            if length[letter] > 1
        )
        elements.append(
            f'<Element Name="{name}" Visibility="1" CopyOption="1" UniqueID="{number}"><Data><Image TextDescription="">'
            f"<ImageDescription><Channels>{channels}</Channels><Dimensions>{dimensions}</Dimensions></ImageDescription>"
            f'</Image></Data><Memory Size="{stack.nbytes}" MemoryBlockID="MemBlock_{number}" /><Children /></Element>'
        )
        blocks.append((f"MemBlock_{number}", np.moveaxis(stack, 1, 2).tobytes()))
    header = (
        '<LMSDataContainerHeader Version="2"><Element Name="stacks" Visibility="1" CopyOption="1" UniqueID="file">'
        f'<Data><Experiment /></Data><Memory Size="0" MemoryBlockID="MemBlock_x" /><Children>{"".join(elements)}'
        "</Children></Element></LMSDataContainerHeader>"
    )
    with path.open("wb") as file:
        file.write(struct.pack("<IIBI", 0x70, 2 * len(header) + 5, 0x2A, len(header)) + header.encode("utf-16-le"))
        for name, pixels in blocks:
            about = struct.pack("<BQBI", 0x2A, len(pixels), 0x2A, len(name)) + name.encode("utf-16-le")
            file.write(struct.pack("<II", 0x70, len(about)) + about + pixels)


def write_nd2(path: Path, stack: NDArray[np.uint16], names: tuple[str, ...]) -> None:
    """Write a stack (T, C, Z, Y, X)."""
    times, channels, sections, height, width = stack.shape
    attributes = {
        "uiWidth": width,
        "uiWidthBytes": 2 * width * channels,
        "uiHeight": height,
        "uiComp": channels,
        "uiBpcInMemory": 16,
        "uiBpcSignificant": 16,
        "uiSequenceCount": times * sections,
        "eCompression": 2,
    }
    dye = {"m_ExcitationSpectrum": {"uiCount": 0}, "m_EmissionSpectrum": {"uiCount": 0}}
    about = {"uiCompCount": 1, "uiColor": 0xFFFFFF, "pFluorescentProbe": dye}
    planes = {f"a{n}": {**about, "uiSampleIndex": n, "sDescription": name} for n, name in enumerate(names)}
    picture = {
        "bCalibrated": True,
        "dCalibration": SIZES[2],
        "sPicturePlanes": {"uiCount": channels, "uiCompCount": channels, "sPlaneNew": planes},
    }
    volume = {"eType": 4, "uLoopPars": {"uiCount": sections, "dZLow": 0.0, "dZHigh": 99.0, "dZStep": SIZES[0]}}
    series = {"uiCount": times, "dStart": 0.0, "dPeriod": 1e3 * STEP, "dDuration": 1e3 * STEP * times}
    experiment = {"eType": 1, "uLoopPars": series, "ppNextLevelEx": {"a0": volume}}
    chunks = {
        "ImageAttributes!": _xml(attributes),
        "ImageMetadataSeq|0!": _xml(picture),
        "ImageMetadata!": _xml(experiment),
        "CustomData|AcqTimesCache!": (1e3 * STEP * np.arange(times * sections)).tobytes(),
    }
    for number, (t, z) in enumerate(np.ndindex(times, sections)):
        pixels = np.ascontiguousarray(np.moveaxis(stack[t, :, z], 0, -1)).tobytes()
        chunks[f"ImageDataSeq|{number}!"] = bytes(8) + pixels
    with path.open("wb") as file:
        file.write(_chunk(b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver2.1".ljust(64, b"\0"), 32))
        found = b""
        for name, data in chunks.items():
            # A chunk begins at a multiple of 4,096 bytes, and its data, after a time, at the next.
            file.write(bytes(-file.tell() % 4096))
            found += name.encode() + struct.pack("<QQ", file.tell(), len(data))
            file.write(_chunk(name.encode(), data, 4072))
        place = file.tell()
        signature = b"ND2 CHUNK MAP SIGNATURE 0000001!"
        end = signature + struct.pack("<Q", place)
        file.write(_chunk(b"ND2 FILEMAP SIGNATURE NAME 0001!", found + end, 32))


def _chunk(name: bytes, data: bytes, reserved: int) -> bytes:
    return struct.pack("<IIQ", 0x0ABECEDA, reserved, len(data)) + name.ljust(reserved, b"\0") + data


def _xml(values: dict[str, object]) -> bytes:
    kinds = {bool: "bool", int: "lx_uint32", float: "double", str: "CLxStringW"}

    def written(name: str, value: object) -> str:
        if isinstance(value, dict):
            inner = "".join(written(key, one) for key, one in value.items())
            return f'<{name} runtype="CLxListVariant">{inner}</{name}>'
        text = str(value).lower() if isinstance(value, bool) else value
        return f'<{name} runtype="{kinds[type(value)]}" value="{text}"/>'

    return f'<variant version="1.0">{written("no_name", values)}</variant>'.encode()
