import pytest

from napari_biomedparse.harmonise.patterns import PathPattern, PatternError, walk


def readings(pattern: str, path: str) -> list[dict[str, str]]:
    return list(PathPattern(pattern).readings(path))


def test_a_pattern_names_parts_of_a_path():
    assert readings("seg/{label}/{image}.nii.gz", "seg/liver/case 1.nii.gz") == [{"label": "liver", "image": "case 1"}]
    assert readings("{group}/**/{image}.png", "p1/a/b/x.png") == [{"group": "p1", "image": "x"}]
    assert readings("{group}/**/{image}.png", "p1/x.png") == [{"group": "p1", "image": "x"}]
    assert readings("{image}/masks/*.png", "a/masks/17.png") == [{"image": "a"}]
    assert readings("{image}/{image}.png", "a/a.png") == [{"image": "a"}]
    assert readings("{image}/{image}.png", "a/b.png") == []
    assert readings("a.b/{image}.png", "aXb/c.png") == []
    assert readings("{image}.png", "folder/c.png") == []


def test_the_longest_image_name_is_read_first():
    found = readings("{image}_{label}.png", "a_b_c_d.png")
    assert [parts["image"] for parts in found] == ["a_b_c", "a_b", "a"]
    assert [parts["label"] for parts in found] == ["d", "c_d", "b_c_d"]


def test_a_part_can_have_a_regular_expression_with_braces():
    pattern = r"{image:p\d{2}}_{label}.png"
    assert readings(pattern, "p12_left_lung.png") == [{"image": "p12", "label": "left_lung"}]
    assert readings(pattern, "p1_left_lung.png") == []


@pytest.mark.parametrize("pattern", ["{image", "{patient}.png", "{image:(}.png"])
def test_a_wrong_pattern_is_shown(pattern):
    with pytest.raises(PatternError) as error:
        PathPattern(pattern)
    assert pattern in str(error.value)


def test_walking_leaves_hidden_files_out_and_does_not_follow_links_upwards(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    for name in ("a/x.png", "a/b/y.png", "a/.hidden.png", "z.png"):
        (tmp_path / name).touch()
    (tmp_path / "a/up").symlink_to(tmp_path, target_is_directory=True)
    assert sorted(walk(tmp_path)) == ["a/", "a/b/", "a/b/y.png", "a/up/", "a/x.png", "z.png"]
    assert sorted(walk(tmp_path, "a/b")) == ["a/b/y.png"]
    assert PathPattern("a/b/{image}.png").folder == "a/b"
