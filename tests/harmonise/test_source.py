import json

import nibabel
import numpy as np
import pytest

from napari_biomedparse.engine.hounsfield import site_window
from napari_biomedparse.harmonise.conventions import load_source
from napari_biomedparse.harmonise.index import SourceIndex
from napari_biomedparse.harmonise.source import SourceError, read_table, read_table_file
from tests.harmonise.conftest import describe, save

BLANK = np.zeros((4, 4), np.uint8)


def found(folder, **given):
    with SourceIndex(folder, load_source(folder, modality="CT", site="abdomen", **given)) as index:
        return {item.key: [mask.path for mask in item.masks] for item in index.items()}, index.labels()


def test_tables_may_be_written_either_way_round():
    assert read_table({"0": "background", "1": "liver"}) == {"liver": [1]}
    assert read_table({"background": 0, "liver": 1, "whole": [1, 2]}) == {"liver": [1], "whole": [1, 2]}
    assert read_table({"#ff0000": "artery", 2: "vein"}) == {"artery": [0x1FF0000], "vein": [2]}
    assert read_table({"#0000ff": "vein", "#ffffff": "bone"}) == {"vein": [0x10000FF], "bone": [255]}
    rows = [{"id": 0, "name": "background"}, {"id": 1, "name": "liver"}, {"value": "2", "label": "liver "}]
    assert read_table(rows) == {"liver": [1, 2]}
    for wrong in ({}, [], [1], [{"id": 1}], {"liver": "one"}):
        with pytest.raises(ValueError, match="label"):
            read_table(wrong)


def test_a_table_file_is_json_or_csv(tmp_path):
    (tmp_path / "a.json").write_text('{"1": "liver"}')
    (tmp_path / "a.csv").write_text("value,label\n0,background\n1,left kidney\n2,spleen\n")
    assert read_table_file(tmp_path / "a.json") == {"liver": [1]}
    assert read_table_file(tmp_path / "a.csv") == {"left kidney": [1], "spleen": [2]}
    for number, text in enumerate(
        [
            "label,value\nbackground,0\nleft kidney,1\nspleen,2\n",
            "1;left kidney\n2;spleen\n",
            "id\tname\tcolour\n1\tleft kidney\tred, dark\n2\tspleen\tblue\n",
            'id;name\n1;"left kidney"\n2;spleen\n',
        ]
    ):
        (tmp_path / f"{number}.csv").write_text(text)
        assert read_table_file(tmp_path / f"{number}.csv") == {"left kidney": [1], "spleen": [2]}
    (tmp_path / "list.json").write_text('[{"id": 1, "name": "liver"}]')
    assert read_table_file(tmp_path / "list.json") == {"liver": [1]}
    (tmp_path / "b.csv").write_text("nothing\n")
    for name in ("b.csv", "missing.json"):
        with pytest.raises(SourceError, match=name):
            read_table_file(tmp_path / name)


def test_the_layout_of_the_decathlon_is_known(tmp_path):
    about = {"name": "Spleen", "modality": {"0": "CT"}, "labels": {"0": "background", "1": "spleen"}, "licence": "CC"}
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "labelsTr").mkdir()
    (tmp_path / "imagesTr/spleen_2.nii.gz").touch()
    (tmp_path / "labelsTr/spleen_2.nii.gz").touch()
    (tmp_path / "dataset.json").write_text(json.dumps(about))
    source = load_source(tmp_path, site="abdomen")
    assert (source.name, source.modality, source.licence) == ("Spleen", "CT", "CC")
    assert found(tmp_path) == ({"spleen_2": ["labelsTr/spleen_2.nii.gz"]}, {"spleen": 1})
    (tmp_path / "imagesTr/spleen_2.nii.gz").rename(tmp_path / "imagesTr/spleen_2_0000.nii.gz")
    assert found(tmp_path)[0] == {"spleen_2": ["labelsTr/spleen_2.nii.gz"]}


@pytest.mark.parametrize(
    ("mask", "table", "labels"),
    [
        ("masks/a_1.png", {"1": "liver", "2": "spleen"}, {"liver": 1, "spleen": 1}),
        ("masks/a_1_left_kidney.png", None, {"left_kidney": 1}),
        ("labels/Liver/a_1.png", None, {"Liver": 1}),
        ("Liver/a_1.png", None, {"Liver": 1}),
    ],
)
def test_common_folders_are_known(tmp_path, mask, table, labels):
    save(tmp_path / "images/a_1.png", BLANK)
    save(tmp_path / mask, BLANK)
    if table:
        (tmp_path / "labels.json").write_text(json.dumps(table))
    assert found(tmp_path) == ({"a_1": [mask]}, labels)


def test_folders_of_other_programs_and_capitals_do_not_matter(tmp_path):
    save(tmp_path / "Images/a.png", BLANK)
    save(tmp_path / "Masks/a.png", BLANK)
    save(tmp_path / "Masks/.ipynb_checkpoints/a-checkpoint.png", BLANK)
    (tmp_path / "Masks/old").mkdir()
    (tmp_path / "labels.json").write_text('{"1": "liver"}')
    assert found(tmp_path) == ({"a": ["Masks/a.png"]}, {"liver": 1})


def test_a_modality_goes_by_its_name(tmp_path):
    content = {"images": "{image}.png", "masks": [{"files": "m/{image}.png", "label": "liver"}], "site": "liver"}
    named = {given: load_source(describe(tmp_path, **content, modality=given)) for given in ("ct", "CECT", "lidar")}
    assert {given: source.modality for given, source in named.items()} == {"ct": "CT", "CECT": "CT", "lidar": "lidar"}
    assert load_source(tmp_path, modality="CT-venous").intensity_for(16) == (-25, 230)
    assert load_source(tmp_path, modality="OCT").intensity_for(16) == "auto"


def test_an_unknown_layout_asks_for_a_description(tmp_path):
    save(tmp_path / "stuff/a.png", BLANK)
    with pytest.raises(SourceError, match=r"biomedparse\.yaml"):
        load_source(tmp_path)
    with pytest.raises(SourceError, match="no folder"):
        load_source(tmp_path / "nowhere")


def test_masks_without_a_name_ask_for_one(tmp_path):
    save(tmp_path / "images/a.png", BLANK)
    save(tmp_path / "masks/a.png", BLANK)
    with pytest.raises(SourceError, match="label: NAME"):
        found(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"site": None}, "--site"),
        ({"modality": "CT_contrast"}, "must not contain"),
        ({"organ": "liver"}, "organ"),
        ({"images": "scans/*.png"}, "{image}"),
        ({"masks": [{"files": "seg/all.png", "label": "liver"}]}, "lacks {image}"),
        ({"masks": [{"files": "seg/{image}.png", "label": "a", "labels": {1: "b"}}]}, "one of"),
        ({"masks": []}, "masks"),
        ({"group": "p\\d+"}, "parentheses"),
        ({"group": "(p"}, "regular expression"),
        ({"intensity": "knee"}, "no window"),
        ({"plane": "oblique"}, "plane"),
    ],
)
def test_a_wrong_description_says_where(tmp_path, change, said):
    content = {
        **{"modality": "CT", "site": "abdomen", "images": "scans/{image}.png"},
        "masks": [{"files": "seg/{image}.png", "label": "liver"}],
    } | change
    folder = describe(tmp_path, **{key: value for key, value in content.items() if value is not None})
    with pytest.raises(SourceError) as error:
        load_source(folder)
    assert said in str(error.value)


def test_a_file_that_is_no_description_is_named(tmp_path):
    (tmp_path / "biomedparse.yaml").write_text("a: [")
    with pytest.raises(SourceError, match=r"biomedparse\.yaml"):
        load_source(tmp_path)
    (tmp_path / "biomedparse.yaml").write_text("just words")
    with pytest.raises(SourceError, match="names and values"):
        load_source(tmp_path)


def test_ct_gets_the_window_of_its_site_unless_it_was_windowed_already(tmp_path):
    content = {"images": "{image}.png", "masks": [{"files": "m/{image}.png", "label": "liver"}], "modality": "CT"}
    source = load_source(describe(tmp_path, **content, site="liver"))
    assert source.intensity_for(16) == (-25, 230)
    assert source.intensity_for(8) == "auto"
    assert load_source(tmp_path, modality="MRI-T2").intensity_for(16) == "auto"
    # As when it is segmented.
    for site in ("chest", "head", "bone"):
        assert load_source(tmp_path, site=site).intensity_for(16) == site_window(f"CT-{site}")
    assert load_source(describe(tmp_path, **content, site="knee", intensity=[0, 100])).intensity_for(8) == (0, 100)
    assert load_source(describe(tmp_path, **content, site="knee", intensity="pelvis")).intensity_for(16) == (-55, 200)


def test_images_and_masks_may_share_a_folder(tmp_path):
    for name in ("a", "a_b", "a_b_liver", "a_liver", "lonely"):
        save(tmp_path / f"{name}.png", BLANK)
    folder = describe(tmp_path, images="{image}.png", masks=[{"files": "{image}_{label}.png"}])
    # "a_b" is an image, and "b" is no label: the pattern says so.
    folder = describe(tmp_path, images="{image}.png", masks=[{"files": "{image}_{label:liver}.png"}])
    assert found(folder) == ({"a": ["a_liver.png"], "a_b": ["a_b_liver.png"]}, {"liver": 2})


def test_names_that_differ_in_an_unnamed_part_are_refused(tmp_path):
    for place in "xy":
        save(tmp_path / f"{place}/a.png", BLANK)
    save(tmp_path / "m/a.png", BLANK)
    content = {"masks": [{"files": "m/{image}.png", "label": "liver"}]}
    with pytest.raises(SourceError, match="same name"):
        found(describe(tmp_path, images="*/{image}.png", **content))


def test_names_of_any_script_stay_and_those_that_look_alike_are_told_apart(tmp_path):
    names = ["患者甲", "患者乙", "слайд", "रोगी", "e\u0301tude", "case 1", "case-1", "Case 1"]
    for name in names:
        save(tmp_path / f"images/{name}.png", BLANK)
        save(tmp_path / f"masks/liver/{name}.png", BLANK)
    with SourceIndex(tmp_path, load_source(tmp_path, modality="CT", site="abdomen")) as index:
        given = {item.path: item.name for item in index.items()}
        again = {item.path: item.name for item in index.items()}
    if len(given) < len(names):
        pytest.skip("this disk does not tell capitals apart")
    assert given == again
    kept = {name: given[f"images/{name}.png"] for name in names}
    assert [kept[name] for name in names[:4]] == names[:4]
    assert kept["e\u0301tude"] == "\u00e9tude"
    # On many disks the pictures of one would replace those of the other.
    assert kept["case-1"] == "case-1"
    assert kept["case 1"].startswith("case-1-")
    assert len({name.casefold() for name in kept.values()}) == len(names)


def test_a_label_has_no_spaces_at_its_ends(tmp_path):
    save(tmp_path / "images/a.png", BLANK)
    save(tmp_path / "masks/a_ liver .png", BLANK)
    assert found(tmp_path)[1] == {"liver": 1}


def test_numbered_objects_need_a_label(tmp_path):
    image = nibabel.Nifti1Image(BLANK, np.eye(4))
    text = b'<LabelTable><Label Key="1">liver</Label></LabelTable>'
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, text))
    for name in ("a", "m/a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        nibabel.save(image, tmp_path / f"{name}.nii")
    for instances in (False, True):
        describe(tmp_path, images="{image}.nii", masks=[{"files": "m/{image}.nii", "instances": instances}])
        if not instances:
            assert found(tmp_path)[1] == {"liver": 1}
    with pytest.raises(SourceError, match="label: NAME"):
        found(tmp_path)


def test_a_group_that_the_source_has_in_both_splits_is_refused(tmp_path):
    for split, name in (("train", "p1_a"), ("val", "p2_a"), ("test", "p3_a")):
        save(tmp_path / f"{split}/{name}.png", BLANK)
        save(tmp_path / f"{split}_m/{name}.png", BLANK)
    content = {
        "images": "{split}/{image}.png",
        "masks": [{"files": "{split}_m/{image}.png", "label": "liver"}],
        "group": "(p\\d)_",
    }
    folder = describe(tmp_path, **content)
    with SourceIndex(folder, load_source(folder, modality="CT", site="liver")) as index:
        assert {item.key: item.split for item in index.items()} == {
            **{"train/p1_a": "train", "val/p2_a": "train", "test/p3_a": "test"}
        }
    for name in ("test/p1_b", "test_m/p1_b"):
        save(tmp_path / f"{name}.png", BLANK)
    with pytest.raises(SourceError, match="'p1' in both"):
        found(folder)
    # However it is spelled.
    for name in ("test", "test_m"):
        (tmp_path / name / "p1_b.png").rename(tmp_path / name / "P1 _b.png")
    folder = describe(tmp_path, **{**content, "group": "([Pp]\\d ?)_"})
    with pytest.raises(SourceError, match="'p1' in both"):
        found(folder)
    with pytest.raises(SourceError, match="no group"):
        found(describe(tmp_path, **{**content, "group": "(q)"}))


def test_an_image_that_is_in_both_splits_by_name_is_refused_unless_it_is_said_to_be_another(tmp_path):
    for name in ("train/1", "train_m/1", "test/1", "test_m/1"):
        save(tmp_path / f"{name}.png", BLANK)
    content = {"images": "{split}/{image}.png", "masks": [{"files": "{split}_m/{image}.png", "label": "liver"}]}
    with pytest.raises(SourceError, match=r"'1' in both .* \(group: \"\(\.\*\)\" if"):
        found(describe(tmp_path, **content))
    assert len(found(describe(tmp_path, **content, group="(.*)"))[0]) == 2


def test_a_split_that_is_not_known_is_named(tmp_path):
    for name in ("train/a", "train_m/a", "holdout/b", "holdout_m/b"):
        save(tmp_path / f"{name}.png", BLANK)
    content = {"images": "{split}/{image}.png", "masks": [{"files": "{split}_m/{image}.png", "label": "liver"}]}
    folder = describe(tmp_path, **content)
    with pytest.raises(
        SourceError, match=r"holdout/b\.png is of the split 'holdout', which is none of train, .*rename"
    ):
        found(folder)
    (tmp_path / "holdout_m/b.png").unlink()
    assert found(folder)[0] == {"train/a": ["train_m/a.png"]}
    with SourceIndex(folder, load_source(folder, modality="CT", site="liver")) as index:
        assert index.images_without_mask == 0
    (tmp_path / "train_m/a.png").unlink()
    with pytest.raises(SourceError, match=r"fits 2 images"):
        found(folder)


def test_an_image_without_a_mask_needs_no_group(tmp_path):
    for name in ("img/p1_a", "seg/p1_a", "img/cover"):
        save(tmp_path / f"{name}.png", BLANK)
    content = {"images": "img/{image}.png", "masks": [{"files": "seg/{image}.png", "label": "liver"}]}
    assert found(describe(tmp_path, **content, group="(p\\d)_"))[0] == {"p1_a": ["seg/p1_a.png"]}
