"""Objects measured from sums over their parts, against measuring them whole."""

import io

import numpy as np
import pyarrow.parquet
import pytest
from skimage.draw import disk, ellipse

from napari_biomedparse.engine.frames import Frames
from napari_biomedparse.engine.measure_stack import measure_stack
from napari_biomedparse.scale.objects import as_parquet, measured, no_sums, sums_of, united

NAMES = {1: "nuclei", 2: "odd thing", 5: "nuclei"}
SPACING = {"Z": 2.0, "Y": 0.5, "X": 0.25}


@pytest.fixture
def labels():
    """Objects over the borders of the parts, a single pixel, and one along an edge."""
    plane = np.zeros((60, 80), np.int32)
    plane[ellipse(30, 40, 12, 25)] = 1
    plane[disk((8, 8), 6)] = 2
    plane[59, 79] = 5
    return plane


def summed(labels, planes, frame=0, plane=0, **more):
    """Sums of a plane in four parts of unequal size."""
    parts = []
    for rows in (slice(0, 27), slice(27, 60)):
        for columns in (slice(0, 41), slice(41, 80)):
            levels = np.full(labels[rows, columns].shape, 150, np.uint8)
            pixels = [channel[rows, columns] for channel in planes]
            found = sums_of(labels[rows, columns], levels, pixels, (rows.start, columns.start))
            count = len(found["label"])
            across = {"frame": np.full(count, frame), "plane": np.full(count, plane)}
            across |= {name: np.full(count, value) for name, value in more.items()}
            parts.append({**found, **across, **({"z": found["area"] * float(more["front"])} if more else {})})
    return parts


def assert_same(table, rows):
    assert len(rows) == len(table["label"]) > 0
    order = np.lexsort([table["label"], table["plane"] if "plane" in table else table["label"], table["frame"]])
    rows = sorted(rows, key=lambda row: (row["frame"], row.get("plane", 0), row["label"]))
    for column, values in table.items():
        if column == "mean_probability":
            assert np.allclose(values, 0.75)
            continue
        # Where there are no sections, they are all the first one.
        column_values = [row.get("plane", 0) if column == "plane" else row[column] for row in rows]
        found = [values[n] for n in order]
        if isinstance(column_values[0], str):
            assert found == column_values, column
        else:
            assert np.allclose(found, column_values, rtol=1e-6, atol=1e-6), column


@pytest.mark.parametrize(("spacing", "unit"), [({}, None), (SPACING, "µm"), (SPACING, None), ({"Y": 1.0}, "mm")])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "f4"])
def test_objects_in_parts_are_measured_as_whole_ones(labels, rng, dtype, spacing, unit):
    pixels = rng.integers(0, 120, labels.shape).astype(dtype)
    table = measured(united(summed(labels, [pixels])), NAMES, spacing, unit, ["grey"], solid=False)
    intensity = {"grey": Frames(pixels, "YX")}
    rows = list(measure_stack(Frames(labels, "YX"), NAMES, spacing=spacing, unit=unit, intensity=intensity))
    assert_same(table, rows)
    assert ("area_µm2" in table or "area_um2" in table) == (unit == "µm")


def test_colours_and_channels_are_measured_one_by_one(labels, rng):
    colours = rng.integers(0, 256, (*labels.shape, 4)).astype(np.uint8)
    names = ["red", "green", "blue"]
    rows = list(
        measure_stack(
            Frames(labels, "YX"),
            NAMES,
            intensity={name: Frames(colours[..., n], "YX") for n, name in enumerate(names)},
        )
    )
    assert_same(measured(united(summed(labels, [colours])), NAMES, {}, None, names, solid=False), rows)
    channels = [colours[..., n] for n in range(3)]
    assert_same(measured(united(summed(labels, channels)), NAMES, {}, None, names, solid=False), rows)


def test_volumes_are_measured_over_their_planes(labels, rng):
    volume = np.stack([labels, np.roll(labels, 3, 1) * (labels != 5), labels * (labels == 1)])
    pixels = rng.integers(0, 4000, volume.shape).astype(np.uint16)
    parts = [part for z in range(3) for part in summed(volume[z], [pixels[z]], front=z, back=z + 1)]
    table = measured(united(parts), NAMES, SPACING, "µm", ["grey"], solid=True)
    rows = measure_stack(
        Frames(volume, "ZYX"), NAMES, spacing=SPACING, unit="µm", intensity={"grey": Frames(pixels, "ZYX")}
    )
    assert_same(table, list(rows))


def test_frames_and_planes_keep_their_objects_apart(labels, rng):
    series = np.stack([labels, np.flipud(labels)])
    pixels = rng.integers(0, 255, series.shape).astype(np.uint8)
    parts = [part for t in range(2) for part in summed(series[t], [pixels[t]], frame=t)]
    table = measured(united(parts), NAMES, {}, None, ["grey"], solid=False)
    rows = measure_stack(Frames(series, "TYX"), NAMES, intensity={"grey": Frames(pixels, "TYX")})
    assert_same(table, list(rows))


def test_a_table_without_objects_has_its_columns(labels):
    nothing = {**no_sums(1), "frame": np.zeros(0, int), "plane": np.zeros(0, int)}
    empty = measured(nothing, {}, SPACING, "µm", ["grey"], solid=False)
    full = measured(united(summed(labels, [labels])), NAMES, SPACING, "µm", ["grey"], solid=False)
    read = [pyarrow.parquet.read_table(io.BytesIO(as_parquet(table))) for table in (empty, full)]
    assert read[0].num_rows == 0
    assert read[0].column_names == read[1].column_names
    assert united([]) == {}
