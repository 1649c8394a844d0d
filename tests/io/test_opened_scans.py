"""Whole NIfTI volumes and DICOM series of real files, read slice by slice."""

import gzip
import sys

import nibabel
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, SegmentationStorage, generate_uid

from napari_biomedparse.io.opened import ReadError, open_image, scenes

NIFTI = pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])


@NIFTI
def test_a_nifti_volume_is_turned_to_axial_planes(tmp_path, rng, suffix):
    # Stored with X to the left, Y to the front and Z to the head, as scanners often do.
    voxels = rng.integers(-1000, 1000, (6, 5, 4), dtype=np.int16)
    path = tmp_path / f"scan{suffix}"
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-0.5, 0.7, 3.0, 1.0])), path)
    opened = open_image(path)
    assert (opened.axes, opened.rgb, opened.scene, opened.unit) == ("ZYX", False, None, "mm")
    assert opened.spacing == pytest.approx({"Z": 3.0, "Y": 0.7, "X": 0.5})
    (array,) = opened.levels
    assert array.dtype == np.int16
    assert array.chunksize == ((1, 5, 6) if suffix == ".nii" else (4, 5, 6))
    # Rows start at the front and columns at the patient's right.
    assert (array.compute() == voxels[:, ::-1].transpose(2, 1, 0)).all()
    assert (array[2, 1:3].compute() == voxels[:, ::-1].transpose(2, 1, 0)[2, 1:3]).all()
    assert scenes(path) == []
    with pytest.raises(ReadError, match="just one image"):
        open_image(path, "second")


@NIFTI
def test_a_sagittal_nifti_series_becomes_axial_with_times(tmp_path, rng, suffix):
    # Axes posterior, inferior, right, and times.
    voxels = rng.random((6, 5, 4, 3)).astype(np.float64)
    affine = np.array([[0, 0, 2.0, 0], [-0.5, 0, 0, 0], [0, -0.7, 0, 0], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm", "msec")
    image.header["pixdim"][4] = 1500
    path = tmp_path / f"scan{suffix}"
    nibabel.save(image, path)
    opened = open_image(path)
    assert opened.axes == "TZYX"
    assert opened.spacing == pytest.approx({"T": 1.5, "Z": 0.7, "Y": 0.5, "X": 2.0})
    assert opened.levels[0].dtype == np.float32
    wanted = voxels.transpose(3, 1, 0, 2)[:, ::-1, :, ::-1].astype(np.float32)
    assert (opened.levels[0].compute() == wanted).all()


def test_nifti_planes_scales_and_colours(tmp_path, rng):
    plane = rng.integers(0, 255, (6, 5), dtype=np.uint8)
    nibabel.save(nibabel.Nifti1Image(plane, np.diag([-1.0, -1, 1, 1])), tmp_path / "plane.nii")
    opened = open_image(tmp_path / "plane.nii")
    assert opened.axes == "YX"
    assert (opened.levels[0].compute() == plane.T).all()
    scaled = nibabel.Nifti1Image(rng.integers(0, 255, (6, 5, 4), dtype=np.uint8), np.diag([-1.0, -1, 1, 1]))
    scaled.header.set_slope_inter(2, -100)
    nibabel.save(scaled, tmp_path / "scaled.nii")
    wanted = nibabel.load(tmp_path / "scaled.nii").get_fdata()
    assert np.allclose(open_image(tmp_path / "scaled.nii").levels[0].compute(), wanted.transpose(2, 1, 0))
    colours = rng.integers(0, 255, (6, 5, 4, 3), dtype=np.uint8)
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(colours.view(kind)[..., 0], np.diag([-1.0, -1, 1, 1])), tmp_path / "rgb.nii")
    opened = open_image(tmp_path / "rgb.nii")
    assert (opened.axes, opened.rgb) == ("ZYX", True)
    assert (opened.levels[0].compute() == colours.transpose(2, 1, 0, 3)).all()


def test_damaged_nifti_files(tmp_path, rng):
    voxels = rng.integers(0, 999, (30, 30, 20), dtype=np.int16)
    path = tmp_path / "scan.nii"
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)
    content = path.read_bytes()
    packed = gzip.compress(content)
    (tmp_path / "cut.nii").write_bytes(content[:9000])
    with pytest.raises(ReadError, match=r"cut\.nii is cut short: 9000 of 36352 bytes"):
        open_image(tmp_path / "cut.nii")
    (tmp_path / "cut.nii.gz").write_bytes(packed[: len(packed) // 2])
    lazy = open_image(tmp_path / "cut.nii.gz").levels[0]
    with pytest.raises(ReadError, match=r"cut\.nii\.gz is damaged or cut short"):
        lazy.compute()
    (tmp_path / "text.nii").write_text("not a scan")
    with pytest.raises(ReadError, match=r"text\.nii cannot be read"):
        open_image(tmp_path / "text.nii")


def test_nifti_without_nibabel_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "scan.nii").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(ReadError, match=r"needs nibabel: run pip install 'napari-biomedparse\[data\]'"):
        open_image(tmp_path / "scan.nii")


def slices(folder, places, description="", **values):
    """Write a series of planes that are filled with their place."""
    series = values.pop("series", generate_uid())
    for number, place in enumerate(places):
        pixels = np.full((6, 7), 1000 + place, np.uint16)
        about = {"InstanceNumber": number, "SeriesDescription": description, "PixelSpacing": [0.5, 0.25]}
        dicom(folder / f"{series}-{number}.dcm", place, pixels, series=series, **{**about, **values})
    return series


def dicom(path, place, pixels, **values):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = values.pop("kind", CTImageStorage)
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.SeriesInstanceUID = values.pop("series", "1.2.3")
    if place is not None:
        data.ImageOrientationPatient = values.pop("direction", [1, 0, 0, 0, 1, 0])
        data.ImagePositionPatient = [0, 0, place]
    data.Rows, data.Columns = values.pop("size", pixels.shape[-2:])
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = pixels.itemsize * 8
    data.HighBit, data.PixelRepresentation = data.BitsAllocated - 1, int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes()
    for name, value in values.items():
        setattr(data, name, value)
    path.parent.mkdir(exist_ok=True)
    data.save_as(path, enforce_file_format=True)


def test_a_dicom_series_is_sorted_by_place_and_in_hounsfield_units(tmp_path):
    slices(tmp_path / "scan", [20.0, 0.0, 10.0, 40.0, 30.0], RescaleSlope=2, RescaleIntercept=-1024)
    (tmp_path / "scan/README").write_text("about these slices")
    opened = open_image(tmp_path / "scan")
    assert (opened.axes, opened.rgb, opened.scene, opened.unit) == ("ZYX", False, None, "mm")
    assert opened.spacing == {"Z": 10.0, "Y": 0.5, "X": 0.25}
    (array,) = opened.levels
    assert (array.dtype, array.chunksize) == (np.float32, (1, 6, 7))
    assert array[:, 0, 0].compute().tolist() == [2 * (1000 + place) - 1024 for place in (0, 10, 20, 30, 40)]
    assert len(scenes(tmp_path / "scan")) == 1


def test_only_the_wanted_slices_of_a_series_are_read(tmp_path):
    series = slices(tmp_path / "scan", [20.0, 0.0, 10.0])
    opened = open_image(tmp_path / "scan")
    assert opened.levels[0].dtype == np.uint16
    (tmp_path / f"scan/{series}-0.dcm").unlink()
    assert (opened.levels[0][:2].compute()[:, 0, 0] == [1000, 1010]).all()
    with pytest.raises(ReadError, match=rf"{series}-0\.dcm is damaged"):
        opened.levels[0][2].compute()


def test_series_of_a_folder_are_scenes(tmp_path):
    folder = tmp_path / "study"
    slices(folder, [10.0, 0.0], "thorax", series="1.2.1")
    slices(folder, [5.0, 2.0, 8.0], "abdomen", series="1.2.2")
    slices(folder, [1.0], "scout", series="1.2.30")
    slices(folder, [2.0], "scout", series="1.2.4")
    dicom(folder / "mask.dcm", 0, np.zeros((6, 7), np.uint8), kind=SegmentationStorage, series="1.2.5")
    assert scenes(folder) == ["thorax", "abdomen", "1.2.30", "1.2.4"]
    opened = open_image(folder, "abdomen")
    assert opened.scene == "abdomen"
    assert opened.levels[0][:, 0, 0].compute().tolist() == [1002, 1005, 1008]
    assert open_image(folder).scene == "thorax"
    assert (open_image(folder, "1.2.4").axes, open_image(folder, "1.2.4").spacing) == ("YX", {"Y": 0.5, "X": 0.25})
    with pytest.raises(ReadError, match=r"no scene 'head'; choose one of 'thorax', 'abdomen'"):
        open_image(folder, "head")


def test_slices_at_the_same_places_are_time_points(tmp_path):
    for point in (2, 1):
        for place in (10.0, 0.0, 5.004):
            pixels = np.full((6, 7), 100 * point + place, np.uint16)
            about = {"AcquisitionNumber": point, "InstanceNumber": 1}
            dicom(tmp_path / f"scan/{3 - point}-{place}.dcm", place, pixels, **about)
    opened = open_image(tmp_path / "scan")
    assert opened.axes == "TZYX"
    assert opened.levels[0][..., 0, 0].compute().tolist() == [[100, 105, 110], [200, 205, 210]]
    (tmp_path / "scan/1-0.0.dcm").unlink()
    with pytest.raises(ReadError, match="from 1 to 2 slices at one place"):
        open_image(tmp_path / "scan")


def test_a_series_that_lacks_a_slice_is_refused(tmp_path):
    series = slices(tmp_path / "scan", [0.0, 10.0, 20.0, 30.0, 40.0])
    assert open_image(tmp_path / "scan").levels[0].shape[0] == 5
    (tmp_path / f"scan/{series}-2.dcm").unlink()
    told = (
        rf"scan lacks slices.* {series}-1\.dcm at 10 mm to {series}-3\.dcm at 30 mm the step is 20 mm, elsewhere 10\."
    )
    with pytest.raises(ReadError, match=told):
        open_image(tmp_path / "scan")
    for point in (1, 2):
        slices(tmp_path / "times", [0.0, 10.0, 30.0, 40.0], series="1.2.3", TemporalPositionIdentifier=point)
        for file in (tmp_path / "times").glob("1.2.3*"):
            file.rename(file.with_name(f"{point} {file.name}"))
    with pytest.raises(ReadError, match="Add what is missing"):
        open_image(tmp_path / "times")


@pytest.mark.parametrize("places", [[0.0, 0.92, 2.0, 3.0], [0.0, 7.0], [0.0, 0.6, 1.3, 1.9, 2.5]])
def test_steps_between_slices_may_differ_a_little(tmp_path, places):
    slices(tmp_path / "scan", places)
    assert open_image(tmp_path / "scan").levels[0].shape[0] == len(places)


def test_slices_in_several_directions_or_without_places_stay_in_the_order_of_their_numbers(tmp_path):
    series = slices(tmp_path / "scout", [3.0, 1.0])
    turned = {"direction": [1, 0, 0, 0, 0, -1], "InstanceNumber": 2, "series": series}
    dicom(tmp_path / "scout/0.dcm", 0.0, np.full((6, 7), 1009, np.uint16), **turned)
    opened = open_image(tmp_path / "scout")
    assert opened.levels[0][:, 0, 0].compute().tolist() == [1003, 1001, 1009]
    assert "Z" not in opened.spacing
    path = tmp_path / "unplaced"
    for number in (2, 0, 1):
        dicom(path / f"{9 - number}.dcm", None, np.full((6, 7), number, np.uint8), InstanceNumber=number)
    opened = open_image(path)
    assert opened.levels[0][:, 0, 0].compute().tolist() == [0, 1, 2]
    assert (opened.spacing, opened.unit) == ({}, None)


def test_frames_of_one_file(tmp_path):
    frames = np.arange(3 * 4 * 6 * 3, dtype=np.uint8).reshape(3, 4, 6, 3)
    about = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0, "FrameTime": 40}
    dicom(tmp_path / "film.dcm", None, frames, size=(4, 6), NumberOfFrames=3, **about)
    opened = open_image(tmp_path / "film.dcm")
    assert (opened.axes, opened.rgb) == ("TYX", True)
    assert opened.spacing == pytest.approx({"T": 0.04})
    assert opened.levels[0].chunksize == (1, 4, 6, 3)
    assert (opened.levels[0].compute() == frames).all()
    # Named by its identifier alone.
    (tmp_path / "film.dcm").rename(tmp_path / "1.2.840.1")
    assert (open_image(tmp_path / "1.2.840.1").levels[0][1].compute() == frames[1]).all()


def test_frames_of_one_file_are_sorted_by_their_own_places_and_scaled_by_their_own_slopes(tmp_path):
    frames = np.arange(3, dtype=np.int16).repeat(20).reshape(3, 4, 5) - 1
    groups = []
    for place, slope in ((20, 1), (0, 2), (10, 3)):
        group, position, scale = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, place]
        scale.RescaleSlope, scale.RescaleIntercept = slope, 7
        group.PlanePositionSequence, group.PixelValueTransformationSequence = [position], [scale]
        groups.append(group)
    shared, direction, sizes = Dataset(), Dataset(), Dataset()
    direction.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    sizes.PixelSpacing = [0.5, 0.25]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [direction], [sizes]
    about = {"PerFrameFunctionalGroupsSequence": groups, "SharedFunctionalGroupsSequence": [shared]}
    dicom(tmp_path / "a.dcm", None, frames, NumberOfFrames=3, **about)
    opened = open_image(tmp_path / "a.dcm")
    assert opened.axes == "ZYX"
    assert opened.spacing == {"Z": 10.0, "Y": 0.5, "X": 0.25}
    assert opened.levels[0][:, 0, 0].compute().tolist() == [7, 10, 6]


def test_inverted_dicom_slices_share_one_scale(tmp_path):
    for number, dtype in enumerate((np.uint16, np.int16)):
        pixels = np.arange(12).reshape(3, 4).astype(dtype)
        path = tmp_path / f"{number}.dcm"
        dicom(path, 0, pixels, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
        opened = open_image(path)
        assert opened.levels[0].dtype == dtype
        assert (opened.levels[0].compute() == (4095 if number == 0 else -1) - pixels).all()


def test_colours_of_a_palette(tmp_path):
    pixels = np.array([[0, 1], [2, 1]], np.uint8)
    about = {"PhotometricInterpretation": "PALETTE COLOR"}
    for index, name in enumerate(("Red", "Green", "Blue")):
        about[f"{name}PaletteColorLookupTableDescriptor"] = [3, 0, 16]
        table = (np.arange(3, dtype=np.uint16) * 10 + index) << 8
        about[f"{name}PaletteColorLookupTableData"] = table.tobytes()
    dicom(tmp_path / "a.dcm", None, pixels, **about)
    opened = open_image(tmp_path / "a.dcm")
    assert (opened.axes, opened.rgb) == ("YX", True)
    assert (opened.levels[0].compute() == pixels[..., None] * 10 + [0, 1, 2]).all()


def test_damaged_dicom_files(tmp_path, monkeypatch):
    series = slices(tmp_path / "scan", [0.0, 1.0])
    cut = tmp_path / f"scan/{series}-1.dcm"
    cut.write_bytes(cut.read_bytes()[:-40])
    opened = open_image(tmp_path / "scan")
    with pytest.raises(ReadError, match=rf"{series}-1\.dcm is damaged or cut short"):
        opened.levels[0].compute()
    dicom(tmp_path / "scan/larger.dcm", 2, np.zeros((9, 9), np.uint16), series=series)
    with pytest.raises(ReadError, match="differ in size"):
        open_image(tmp_path / "scan")
    (tmp_path / "text.dcm").write_text("no")
    with pytest.raises(ReadError, match=r"text\.dcm is no DICOM file"):
        open_image(tmp_path / "text.dcm")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ReadError, match=r"needs pydicom: run pip install 'napari-biomedparse\[data\]'"):
        open_image(tmp_path / "scan")
