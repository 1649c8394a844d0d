"""What the dock remembers, in a folder of its own."""

import json

import pytest

from napari_biomedparse.plugin.settings import Settings, load, save, settings_path

CHANGED = Settings(
    model="mine",
    device="cpu",
    scope="visible",
    threshold=0.35,
    instances=True,
    split="apart",
    min_area=7,
    fill_holes=False,
    link=False,
    boxes=True,
    one_layer_each=True,
    palette="colour-blind",
    rule="last",
    history=(("nuclei", "cell"), ("liver",)),
)


@pytest.fixture
def path():
    path = settings_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def written(path, content) -> Settings:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return load()


def test_without_a_file_there_are_the_defaults(path):
    assert load() == Settings()
    assert not path.exists()


def test_every_setting_comes_back():
    assert all(getattr(CHANGED, name) != getattr(Settings(), name) for name in Settings.model_fields)
    save(CHANGED)
    assert load() == CHANGED


def test_the_variable_names_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_BIOMEDPARSE_CONFIG", str(tmp_path / "new" / "folder"))
    save(CHANGED)
    assert json.loads((tmp_path / "new" / "folder" / "dock.json").read_text())["version"] == 1
    assert [file.name for file in (tmp_path / "new" / "folder").iterdir()] == ["dock.json"]


def test_nothing_is_kept_in_the_users_own_folder(path, tmp_path_factory):
    assert path.is_relative_to(tmp_path_factory.getbasetemp())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("threshold", "0.5"),
        ("threshold", 1.5),
        ("threshold", None),
        ("threshold", float("nan")),
        ("min_area", -1),
        ("min_area", True),
        ("min_area", 2.5),
        ("instances", 1),
        ("scope", "everywhere"),
        ("palette", "red"),
        ("rule", 3),
        ("model", ["mini"]),
        ("history", "nuclei"),
        ("history", [["nuclei", 3]]),
    ],
)
def test_a_field_of_no_use_has_its_default_and_the_others_stay(path, field, value):
    content = {"version": 1, **CHANGED.model_dump(mode="json"), field: value}
    assert written(path, content) == CHANGED.model_copy(update={field: getattr(Settings(), field)})
    assert path.exists()


def test_fields_of_another_version_are_left_out(path):
    assert written(path, {"version": 99, "voice": "soft", "device": "cpu"}) == Settings(device="cpu")


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", '"mini"', "[" * 100_000])
def test_a_file_without_settings_is_put_aside(path, content):
    assert written(path, content) == Settings()
    assert not path.exists()
    assert path.with_name("dock.json.bad").read_text() == content


def test_a_file_that_is_no_text_is_put_aside(path):
    path.write_bytes(b"\xff\xfe\x00")
    assert load() == Settings()
    assert path.with_name("dock.json.bad").read_bytes() == b"\xff\xfe\x00"


def test_what_cannot_be_read_or_written_stops_nothing(path, caplog):
    path.mkdir()
    assert load() == Settings()
    save(CHANGED)
    assert "cannot be kept" in caplog.text
    assert [file.name for file in path.parent.iterdir()] == ["dock.json"]


def test_settings_cannot_be_changed_or_made_of_nonsense():
    with pytest.raises(ValueError, match="frozen"):
        Settings().model = "other"
    with pytest.raises(ValueError, match="threshold"):
        Settings(threshold=2)
