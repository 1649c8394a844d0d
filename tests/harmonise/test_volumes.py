import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from napari_biomedparse.harmonise.dicom import read_segmentation, segment_labels
from napari_biomedparse.harmonise.items import Settings
from napari_biomedparse.harmonise.planes import fit_image, fit_mask, fit_numbers
from napari_biomedparse.harmonise.volume import check_aligned
from napari_biomedparse.harmonise.volumes import nifti_labels, read_volume
from napari_biomedparse.io.dicom import SEGMENTATION_STORAGE
from napari_biomedparse.io.reading import ReadError
from napari_biomedparse.training.dataset import read_split
from tests.harmonise.conftest import describe
from tests.harmonise.test_build import build

# A body in which each voxel tells where it lies: right to left, front to back, feet to head.
LEFT, BACK, HEAD = np.meshgrid(np.arange(5), np.arange(6), np.arange(4), indexing="ij")
BODY = (LEFT + 10 * BACK + 100 * HEAD).astype(np.int16)


def nifti(path, axes, body=BODY):
    """Write the body with array axes that grow to the given sides."""
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("LPS"), nibabel.orientations.axcodes2ornt(axes)
    )
    turned = nibabel.orientations.apply_orientation(body, turn)
    affine = np.diag([-1.0, -1, 1, 1]) @ nibabel.orientations.inv_ornt_aff(turn, body.shape)
    nibabel.save(nibabel.Nifti1Image(turned, affine), path)


@pytest.mark.parametrize("axes", ["LPS", "RAS", "PIR", "SLA"])
def test_nifti_is_shown_as_radiologists_look_at_it_however_it_is_stored(tmp_path, axes):
    path = tmp_path / "a.nii.gz"
    nifti(path, axes)
    axial = read_volume(path, "axial", None)
    assert (axial.planes == BODY.transpose(2, 1, 0)).all()
    coronal = read_volume(path, "coronal", None)
    # Seen from the front: the head is up, the patient's right on the left.
    assert (coronal.planes[-1][0] == BODY[:, 0, -1]).all()
    assert coronal.planes.shape == (6, 4, 5)
    sagittal = read_volume(path, "sagittal", None)
    assert (sagittal.planes[-1][0] == BODY[0, :, -1]).all()
    nifti(tmp_path / "b.nii", "RAS")
    check_aligned(axial, read_volume(tmp_path / "b.nii", "axial", None, mask=True), path)


def test_a_mask_that_lies_elsewhere_is_refused(tmp_path):
    nifti(tmp_path / "a.nii", "LPS")
    image = read_volume(tmp_path / "a.nii", "axial", None)
    nibabel.save(nibabel.Nifti1Image(BODY, np.diag([-1.0, -1, 2, 1])), tmp_path / "b.nii")
    nibabel.save(nibabel.Nifti1Image(BODY[1:], np.diag([-1.0, -1, 1, 1])), tmp_path / "c.nii")
    for name, said in (("b.nii", "different places"), ("c.nii", "differ in size")):
        with pytest.raises(ReadError, match=said):
            check_aligned(image, read_volume(tmp_path / name, "axial", None, mask=True), tmp_path / name)


def test_a_channel_must_be_chosen_where_there_are_several(tmp_path):
    nibabel.save(
        nibabel.Nifti1Image(np.stack([BODY, BODY + 1], axis=-1), np.diag([-1.0, -1, 1, 1])), tmp_path / "a.nii"
    )
    cells = np.stack([np.zeros((4, 5), np.uint16), np.ones((4, 5), np.uint16)])
    tifffile.imwrite(tmp_path / "a.tif", cells, metadata={"axes": "CYX"}, imagej=True)
    for name in ("a.nii", "a.tif"):
        with pytest.raises(ReadError, match="channel: 0 to 1"):
            read_volume(tmp_path / name, "axial", None)
        with pytest.raises(ReadError, match="no channel 2"):
            read_volume(tmp_path / name, "axial", 2)
    assert (read_volume(tmp_path / "a.tif", "axial", 1).planes == 1).all()
    assert (read_volume(tmp_path / "a.nii", "axial", 1).planes == BODY.transpose(2, 1, 0) + 1).all()


def test_tiff_stacks_keep_their_order(tmp_path):
    stack = np.arange(80, dtype=np.uint16).reshape(4, 4, 5)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    tifffile.imwrite(tmp_path / "c.tif", np.zeros((4, 5, 3), np.uint8), photometric="rgb")
    volume = read_volume(tmp_path / "a.tif", "axial", None)
    assert not volume.flat
    assert (volume.planes == stack).all()
    colour = read_volume(tmp_path / "c.tif", "axial", None)
    assert (colour.flat, colour.planes.shape) == (True, (1, 4, 5, 3))


def test_masks_keep_the_values_of_palettes_and_colours(tmp_path):
    values = np.array([[0, 1], [2, 1]], np.uint8)
    picture = Image.fromarray(values, mode="P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    picture.save(tmp_path / "palette.png")
    Image.fromarray(np.stack([values * 100, values, values], axis=-1)).save(tmp_path / "colour.png")
    Image.fromarray(np.stack([values] * 3, axis=-1)).save(tmp_path / "grey.png")
    Image.fromarray(values > 0).save(tmp_path / "bits.png")

    def read(name, mask=True):
        return read_volume(tmp_path / name, "axial", None, mask).planes[0]

    assert (read("palette.png") == values).all()
    assert read("palette.png", mask=False)[0, 1].tolist() == [255, 0, 0]
    assert read("colour.png").tolist() == [[0, 0x1640101], [0x1C80202, 0x1640101]]
    assert (read("grey.png") == values).all()
    assert (read("bits.png") == (values > 0)).all()


def test_a_jpeg_mask_is_what_is_brighter_than_half(tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[10:41, 13:50] = 255
    Image.fromarray(mask).convert("RGB").save(tmp_path / "a.jpg", quality=60)
    assert len(np.unique(np.asarray(Image.open(tmp_path / "a.jpg")))) > 2
    assert (read_volume(tmp_path / "a.jpg", "axial", None, mask=True).planes[0] == (mask > 0)).all()


def test_a_photograph_is_turned_as_its_camera_says(tmp_path):
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif)
    shown = read_volume(tmp_path / "a.jpg", "axial", None).planes[0]
    assert shown[8:].mean() > 250 > 5 > shown[:8].mean()


def test_names_of_values_in_a_nifti_header_are_read(tmp_path):
    image = nibabel.Nifti1Image(BODY, np.eye(4))
    text = b'<LabelTable><Label Key="0">none</Label><Label Key="3" Red="1">kidney &amp; cyst</Label></LabelTable>'
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, text))
    nibabel.save(image, tmp_path / "a.nii.gz")
    assert nifti_labels(tmp_path / "a.nii.gz") == {"kidney & cyst": [3]}


def dicom(path, place, pixels, **values):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = values.pop("kind", "1.2.840.10008.5.1.4.1.1.2")
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.SeriesInstanceUID = values.pop("series", "1.2.3")
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data.ImagePositionPatient = [0, 0, place]
    data.Rows, data.Columns = values.pop("size", pixels.shape[-2:])
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = pixels.itemsize * 8
    data.HighBit, data.PixelRepresentation = data.BitsAllocated - 1, 0
    data.PixelData = pixels.tobytes()
    for name, value in values.items():
        setattr(data, name, value)
    path.parent.mkdir(exist_ok=True)
    data.save_as(path, enforce_file_format=True)


@pytest.fixture
def series(tmp_path):
    """Five slices, whose file names are not in their order."""
    for number, place in enumerate([20.0, 0.0, 10.0, 40.0, 30.0]):
        pixels = np.full((6, 7), 1000 + place, np.uint16)
        dicom(tmp_path / f"scan/{number}.dcm", place, pixels, RescaleSlope=2, RescaleIntercept=-1024)
    return tmp_path / "scan"


def test_a_dicom_series_is_sorted_by_place_and_in_hounsfield_units(series):
    volume = read_volume(series, "axial", None)
    assert volume.planes[:, 0, 0].tolist() == [2 * (1000 + place) - 1024 for place in (0, 10, 20, 30, 40)]
    assert volume.axes == "SPL"
    with pytest.raises(ReadError, match="NIfTI only"):
        read_volume(series, "coronal", None)


def test_a_single_dicom_file_may_be_inverted(tmp_path):
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    dicom(tmp_path / "x.dcm", 0, pixels, PhotometricInterpretation="MONOCHROME1")
    volume = read_volume(tmp_path / "x.dcm", "axial", None)
    assert volume.flat
    assert (volume.planes[0] == 65535 - pixels).all()


def test_what_is_equal_in_inverted_slices_stays_equal(tmp_path):
    for place, brightest in enumerate((1000, 2000)):
        pixels = np.full((3, 4), 100, np.uint16)
        pixels[0, 0] = brightest
        about = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11}
        dicom(tmp_path / f"scan/{place}.dcm", place, pixels, **about)
    planes = read_volume(tmp_path / "scan", "axial", None).planes
    assert planes[:, 1, 1].tolist() == [3995, 3995]
    # Values of a mask are no shades.
    assert read_volume(tmp_path / "scan", "axial", None, mask=True).planes[:, 0, 0].tolist() == [1000, 2000]


def item(**values):
    data = Dataset()
    for name, value in values.items():
        setattr(data, name, value)
    return data


def test_frames_of_one_file_have_their_own_scales_and_places(tmp_path):
    groups = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, place])],
            PixelValueTransformationSequence=[item(RescaleSlope=slope, RescaleIntercept=-5)],
        )
        for place, slope in ((10, 1), (0, 2))
    ]
    frames = np.stack([np.full((3, 4), value, np.uint16) for value in (100, 200)])
    dicom(tmp_path / "a.dcm", 0, frames, NumberOfFrames=2, PerFrameFunctionalGroupsSequence=groups)
    data = dcmread(tmp_path / "a.dcm")
    del data.ImagePositionPatient
    data.save_as(tmp_path / "a.dcm")
    assert read_volume(tmp_path / "a.dcm", "axial", None).planes[:, 0, 0].tolist() == [395, 95]


def test_palettes_of_dicom_are_looked_up_but_not_in_masks(tmp_path):
    pixels = np.array([[0, 1], [2, 1]], np.uint8)
    about = {"PhotometricInterpretation": "PALETTE COLOR"}
    for index, name in enumerate(("Red", "Green", "Blue")):
        about[f"{name}PaletteColorLookupTableDescriptor"] = [3, 0, 16]
        table = (np.arange(3, dtype=np.uint16) * 10 + index) << 8
        about[f"{name}PaletteColorLookupTableData"] = table.tobytes()
    dicom(tmp_path / "a.dcm", 0, pixels, **about)
    shown = read_volume(tmp_path / "a.dcm", "axial", None).planes[0]
    assert (shown == pixels[..., None] * 10 + [0, 1, 2]).all()
    assert (read_volume(tmp_path / "a.dcm", "axial", None, mask=True).planes[0] == pixels).all()


def test_frames_in_colour_are_planes(tmp_path):
    frames = np.arange(3 * 4 * 6 * 3, dtype=np.uint8).reshape(3, 4, 6, 3)
    about = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    dicom(tmp_path / "a.dcm", 0, frames, size=(4, 6), NumberOfFrames=3, **about)
    volume = read_volume(tmp_path / "a.dcm", "axial", None)
    assert not volume.flat
    assert (volume.planes == frames).all()


def test_slices_may_be_named_by_their_identifiers_beside_other_files(series):
    for path in list(series.iterdir()):
        path.rename(series / f"1.2.840.{path.stem}")
    (series / "README").write_text("about these slices")
    assert read_volume(series, "axial", None).planes.shape == (5, 6, 7)


def test_folders_and_files_that_are_no_series_are_told(series, tmp_path):
    dicom(series / "other.dcm", 50, np.zeros((6, 7), np.uint16), series="1.2.4")
    with pytest.raises(ReadError, match="2 DICOM series"):
        read_volume(series, "axial", None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReadError, match="no DICOM image"):
        read_volume(tmp_path / "empty", "axial", None)
    (tmp_path / "text.dcm").write_text("no")
    with pytest.raises(ReadError, match="no DICOM file"):
        read_volume(tmp_path / "text.dcm", "axial", None)
    (tmp_path / "a.zip").touch()
    with pytest.raises(ReadError, match="none of PNG"):
        read_volume(tmp_path / "a.zip", "axial", None)
    with pytest.raises(ReadError, match="no file"):
        read_volume(tmp_path / "b.png", "axial", None)


def segmentation(path, frames, right=0.0):
    """Write a DICOM segmentation with (segment, place, mask) frames, so far beside its series."""
    bits = np.packbits(np.stack([mask for _, _, mask in frames]).ravel(), bitorder="little")
    bits = np.pad(bits, (0, bits.size % 2))
    groups = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[right, 0, place])],
            SegmentIdentificationSequence=[item(ReferencedSegmentNumber=segment)],
        )
        for segment, place, _ in frames
    ]
    dicom(
        path,
        0,
        np.zeros((6, 7), np.uint8),
        **{"kind": SEGMENTATION_STORAGE, "BitsAllocated": 1, "BitsStored": 1, "HighBit": 0},
        NumberOfFrames=len(frames),
        PixelData=bits.tobytes(),
        SegmentationType="BINARY",
        SegmentSequence=[item(SegmentNumber=1, SegmentLabel="Liver"), item(SegmentNumber=2, SegmentLabel="Tumour")],
        SharedFunctionalGroupsSequence=[
            item(PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])])
        ],
        PerFrameFunctionalGroupsSequence=groups,
    )


def test_a_dicom_segmentation_is_laid_on_the_slices_of_its_series(series, tmp_path):
    masks = [np.zeros((6, 7), bool) for _ in range(3)]
    masks[0][1, 2] = masks[1][3, 4] = masks[2][5, 6] = True
    path = tmp_path / "seg/a.dcm"
    segmentation(path, [(1, 30.0, masks[0]), (2, 0.2, masks[1]), (1, 10.0, masks[2])])
    assert segment_labels(path) == {"Liver": [1], "Tumour": [2]}
    found = read_segmentation(path, series)
    assert np.argwhere(found[1]).tolist() == [[1, 5, 6], [3, 1, 2]]
    assert np.argwhere(found[2]).tolist() == [[0, 3, 4]]
    segmentation(path, [(1, 300.0, masks[0])])
    with pytest.raises(ReadError, match="no slice"):
        read_segmentation(path, series)
    segmentation(path, [(1, 30.0, masks[0])], right=4.0)
    with pytest.raises(ReadError, match=r"4\.0 mm beside"):
        read_segmentation(path, series)
    # Kept in the folder of its series, it is no slice of it.
    segmentation(series / "seg.dcm", [(1, 30.0, masks[0])])
    assert len(read_volume(series, "axial", None).planes) == 5
    assert np.argwhere(read_segmentation(series / "seg.dcm", series)[1]).tolist() == [[3, 1, 2]]
    with pytest.raises(ReadError, match="no DICOM segmentation"):
        segment_labels(series / "0.dcm")


def test_a_dicom_series_with_its_segmentation_becomes_a_data_set(series, tmp_path):
    folder = describe(
        tmp_path / "source",
        **{"modality": "CT", "site": "liver", "images": "{group}/scan/", "masks": [{"files": "{group}/seg/*.dcm"}]},
    )
    (folder / "p1").mkdir()
    series.rename(folder / "p1/scan")
    mask = np.zeros((6, 7), bool)
    mask[1:4, 2:6] = True
    segmentation(folder / "p1/seg/a.dcm", [(1, 30.0, mask), (2, 30.0, ~mask)])
    summary = build(folder, tmp_path / "out", Settings(size=None, test=0, min_pixels=1))
    assert summary.failures == []
    (example,) = read_split(tmp_path / "out", "train")
    assert example.image.name == "p1-z003_CT_liver.png"
    assert (example.read_mask("liver") == mask).all()
    assert set(example.masks) == {"liver", "tumor"}


def test_dicom_of_any_ending_gets_square_pixels_as_nifti_does(tmp_path):
    folder = describe(
        tmp_path / "source",
        **{"modality": "CT", "site": "liver", "images": "{group}/scan/", "masks": [{"files": "{group}/seg/*.dicom"}]},
    )
    mask = np.zeros((6, 7), bool)
    mask[1:4, 2:6] = True
    (folder / "p1").mkdir()
    for place in (0, 10):
        dicom(folder / f"p1/scan/{place}.dicom", place, np.where(mask, 1100, 0).astype(np.uint16), PixelSpacing=[3, 1])
    segmentation(folder / "p1/seg/a.dicom", [(1, 10.0, mask)])
    assert build(folder, tmp_path / "out", Settings(size=None, test=0, min_pixels=1)).failures == []
    (example,) = read_split(tmp_path / "out", "train")
    assert example.read_image().shape == (18, 7, 3)
    assert (example.read_mask("liver") == mask.repeat(3, axis=0)).all()
    assert read_volume(folder / "p1/scan", "axial", None).square == (18, 7)


def test_masks_and_numbers_are_laid_exactly_on_their_image(rng):
    plane = np.zeros((60, 90), np.uint8)
    numbers = np.zeros((60, 90), np.int64)
    for number, (top, left) in enumerate([(5, 10), (30, 50), (40, 5)], start=1):
        plane[top : top + 15, left : left + 20] = 200
        numbers[top : top + 15, left : left + 20] = number * 1000
    for size in (None, 64, 90, 256):
        seen = fit_image(plane, "none", size)[..., 0] > 100
        mask, laid = fit_mask(plane > 0, size), fit_numbers(numbers, size)
        assert mask.shape == laid.shape == seen.shape == ((size, size) if size else plane.shape)
        assert (seen ^ mask).mean() < 0.02
        assert ((laid > 0) ^ mask).mean() < 0.02
        assert np.unique(laid).tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="16-bit"):
        fit_numbers(np.arange(70_000).reshape(7, 10_000), None)


def test_half_of_an_area_makes_a_pixel_of_a_mask():
    mask = np.zeros((64, 64), bool)
    mask[:, 1::2] = True
    mask[:32, ::4] = False
    mask[:32, 1::4] = False
    small = fit_mask(mask, 32)
    assert small[16:].all()
    assert not small[:16, ::2].any()
