"""What results are called."""

import zarr

from napari_biomedparse.io.names import names_of, stem


def test_endings_go_and_numbers_of_identifiers_stay(tmp_path, monkeypatch):
    names = ["a.ome.tif", "a.b.TIFF", "scan.nii.gz", "s.ome.zarr", "s.zarr", "1.2.840.77", ".hidden", "plain"]
    assert [stem(tmp_path / name) for name in names] == ["a", "a.b", "scan", "s", "s", "1.2.840.77", ".hidden", "plain"]
    series = tmp_path / "1.2.840.113.x7"
    series.mkdir()
    assert stem(series) == "1.2.840.113.x7"
    monkeypatch.chdir(series)
    assert stem(series / ".") == stem(series / ".." / series.name) == series.name


def test_the_fields_of_a_plate_have_names_of_their_own(tmp_path):
    plate = tmp_path / "plate.ome.zarr"
    for field in ("A/1/0", "B/1/1"):
        zarr.open_group(plate / field, mode="w")
    for group in (plate, plate / "A", plate / "A/1", plate / "B", plate / "B/1"):
        zarr.open_group(group, mode="a")
    assert stem(plate) == "plate"
    assert [stem(plate / field) for field in ("A/1/0", "B/1/1")] == ["plate_A_1_0", "plate_B_1_1"]


def test_scenes_that_files_could_not_tell_apart_are_numbered(tmp_path):
    assert names_of(tmp_path / "a.czi", [None]) == ["a"]
    assert names_of(tmp_path / "a.czi", ["P1/2", "P1-2", "P1 2", "x"]) == ["a_P1-2", "a_P1-2-2", "a_P1-2-3", "a_x"]
