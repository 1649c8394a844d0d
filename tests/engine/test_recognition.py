"""Recognising everything: the presence test, the choice among overlapping masks, the sharing of pixels."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks import released
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, kstest

from napari_biomedparse import ObjectMask, Predictor
from napari_biomedparse.engine.hounsfield import CT_WINDOWS
from napari_biomedparse.engine.presence import mask_statistics, presence
from napari_biomedparse.engine.recognition import Recognition, guess_modality, is_coloured, judge, share_pixels
from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.ontology import ModalityError, RecognitionTable, meta_objects

PUBLISHED = RecognitionTable.published()


def mask(prompt, probability):
    return ObjectMask(prompt, np.asarray(probability, np.float32))


def box(top, left, height, width, value=0.9, shape=(20, 20)):
    probability = np.full(shape, 0.01, np.float32)
    probability[top : top + height, left : left + width] = value
    return probability


def test_the_published_tables_are_whole():
    assert len(PUBLISHED.lists) == 14
    assert len(PUBLISHED.presence) == 61
    assert PUBLISHED.lists["MRI-Cardiac"] == ("left heart ventricle", "myocardium", "right heart ventricle")
    assert len(meta_objects()) == 16
    assert (meta_objects()[0], meta_objects()[-1]) == ("liver", "other")


def test_a_modality_is_found_by_its_beginning_in_any_case():
    assert PUBLISHED.modality("ct-abdomen") == "CT-Abdomen"
    assert PUBLISHED.modality("patho") == "Pathology"
    for name in ("Telepathy", "", "CT", "MRI-"):
        with pytest.raises(ModalityError, match=r"CT-Abdomen|MRI-Cardiac"):
            PUBLISHED.modality(name)


def test_a_table_is_written_and_read(tmp_path):
    table = RecognitionTable({"X": ("a", "b")}, {("X", "a"): ((1.5, 2.0),) * 4})
    table.write(tmp_path / "t.json")
    assert RecognitionTable.read(tmp_path / "t.json") == table
    PUBLISHED.write(tmp_path / "t.json")
    assert RecognitionTable.read(tmp_path / "t.json") == PUBLISHED
    (tmp_path / "t.json").write_text("[1]")
    with pytest.raises(ModalityError, match="not a readable table"):
        RecognitionTable.read(tmp_path / "t.json")


def test_distributions_are_found_by_another_name_of_the_object():
    pairs = ((1.5, 2.0),) * 4
    known = {("Slides", "nucleus"): pairs, ("Slides", "odd"): pairs}
    table = RecognitionTable({"Slides": ("nucleus", "vessel")}, known)
    assert table.distributions("Slides", "nuclei") == pairs
    assert table.distributions("Slides", "Cell nuclei ") == pairs
    # Not an object of the list, but known by just this name.
    assert table.distributions("Slides", "odd") == pairs
    for modality, name in (("Slides", "vessel"), ("Slides", "liver"), ("Slides", "warp core"), ("CT", "nuclei")):
        assert table.distributions(modality, name) is None


@pytest.mark.parametrize("modality", ["CT-Abdomen", "ct-abdomen"])
@pytest.mark.parametrize("name", ["bladder", "Bladder", "urinary bladder", "liver (non abdomen window)"])
def test_distributions_are_found_whatever_the_case_and_without_a_list(modality, name):
    assert PUBLISHED.distributions(modality, name) is not None


def test_a_ct_is_shown_in_the_window_of_the_modality_that_is_meant(tiny_config, rng):
    predictor = Predictor(BiomedParse(tiny_config).eval(), "cpu", table=PUBLISHED)
    scan = rng.normal(-700, 200, (40, 40)).astype(np.float32)
    scan[0, 0] = -1000
    whole = predictor.recognize(scan, "CT-Chest").findings
    begun = predictor.recognize(scan, "ct-ch").findings
    assert [finding.p_value for finding in whole] == pytest.approx([finding.p_value for finding in begun])
    other = predictor.recognize(scan, "CT-Chest", intensity=CT_WINDOWS["abdomen"]).findings
    assert [finding.p_value for finding in whole] != pytest.approx([finding.p_value for finding in other])
    said = [predictor.segment(scan, ["nodule"], modality=name)[0].probability for name in ("CT-Chest", "ct-ch")]
    assert said[0] == pytest.approx(said[1], abs=1e-4)
    elsewhere = predictor.segment(scan, ["nodule"], modality="CT-Abdomen")[0].probability
    assert said[0] != pytest.approx(elsewhere, abs=1e-4)


def test_statistics_are_means_inside_the_mask(rng):
    probability = rng.uniform(size=(30, 40)).astype(np.float32)
    rgb = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    inside = probability * 255 >= 128
    expected = [(probability[inside] * 255).mean() / 256, *(rgb[inside].mean(axis=0) / 256)]
    np.testing.assert_allclose(mask_statistics(probability, rgb), expected, rtol=1e-6)
    # Between 127/255 and 128/255 the released code has no pixel to average and no zero either.
    assert mask_statistics(np.full((2, 2), 127.5 / 255, np.float32), rgb[:2, :2]) == (0, 0, 0, 0)


def test_presence_is_the_product_of_four_kolmogorov_smirnov_tests(rng):
    rgb = rng.integers(60, 160, (20, 20, 3), dtype=np.uint8)
    liver = mask("liver", box(2, 2, 9, 9, 0.95))
    pairs = PUBLISHED.distributions("CT-Abdomen", "liver")
    statistics = mask_statistics(liver.probability, rgb)
    tests = [kstest([value], beta(a, b).cdf).pvalue for value, (a, b) in zip(statistics, pairs, strict=True)]
    assert presence(liver, rgb, pairs) == pytest.approx(np.prod(tests) ** 0.25, rel=1e-9)
    assert presence(mask("liver", np.zeros((20, 20))), rgb, pairs) == 0
    assert PUBLISHED.distributions("CT-Abdomen", "appendix") is None
    assert PUBLISHED.distributions("CT-Liver", "tumor") is None
    assert presence(mask("appendix", box(2, 2, 9, 9)), rgb, None) is None


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_pixels_are_shared_as_published(count, seed):
    """Against the released procedure, pixel by pixel; coarse values make ties common, their sums are exact."""
    values = np.random.default_rng(seed).choice([0, 0.1, 0.25, 0.5, 0.625, 0.875], (count, 6, 7)).astype(np.float32)
    expected = released.merge({str(n): p for n, p in enumerate(values)})
    shares = share_pixels(list(values))
    assert [str(n) for n, pixels in enumerate(shares) if pixels is not None] == list(expected)
    for n, pixels in enumerate(shares):
        if pixels is not None:
            assert (pixels == expected[str(n)].astype(bool)).all()


def test_every_object_gets_a_row_that_says_what_became_of_it():
    masks = [
        mask("liver", box(0, 0, 10, 10, 0.95)),
        mask("spleen", box(0, 0, 10, 8)),
        mask("aorta", box(12, 12, 5, 5)),
        mask("stomach", box(0, 0, 0, 0)),
        mask("duodenum", box(15, 0, 4, 4)),
    ]
    findings = judge(masks, [0.8, 0.6, 0.01, 0.0, None])
    assert [(finding.mask.prompt, finding.outcome) for finding in findings] == [
        ("liver", "found"),
        ("spleen", "covered"),
        ("aorta", "improbable"),
        ("stomach", "empty"),
        ("duodenum", "found"),
    ]
    labels = Recognition("CT-Abdomen", {}, tuple(findings)).labels()
    assert labels.names == {1: "liver", 2: "duodenum"}
    assert np.bincount(labels.values.ravel()).tolist() == [400 - 116, 100, 16]
    # No limit drops nothing.
    assert judge(masks, [0.8, 0.6, 0.01, 0.0, None], limit=0)[2].outcome == "found"


def test_an_object_that_loses_its_pixels_is_outvoted():
    wide = mask("pancreas", box(0, 0, 10, 10, 0.3) + 0)
    wide.probability[0:3, 0:3] = 0.6
    strong = mask("liver", box(0, 3, 10, 10, 0.9))
    strong.probability[3:10, 0:3] = 0.45
    findings = judge([strong, wide], [0.9, 0.8])
    assert [finding.outcome for finding in findings] == ["found", "outvoted"]
    assert not findings[1].pixels.any()


def test_nothing_found_is_no_error():
    findings = judge([mask("liver", np.zeros((4, 4)))], [0.0])
    assert [finding.outcome for finding in findings] == ["empty"]
    recognition = Recognition("CT-Abdomen", {}, tuple(findings))
    assert recognition.labels().names == {}
    assert not recognition.found


def test_recognising_a_real_image_encodes_it_once(predictor, histology, monkeypatch):
    encoded = predictor.encode(histology[0], scales=("cell",))
    monkeypatch.setattr(predictor.model, "encode_image", lambda rgb: pytest.fail("encoded again"))
    monkeypatch.setattr(predictor, "table", PUBLISHED)
    recognition = predictor.recognize(encoded, "pathology")
    assert (recognition.modality, recognition.guessed) == ("Pathology", False)
    assert {finding.mask.prompt for finding in recognition.findings} == set(PUBLISHED.lists["Pathology"])
    p_values = [finding.p_value for finding in recognition.findings]
    assert p_values == sorted(p_values, reverse=True)
    total = np.sum([finding.pixels for finding in recognition.findings], axis=0)
    assert total.max() <= 1
    with pytest.raises(ModalityError):
        predictor.recognize(encoded, "")


def test_colour_is_told_from_grey(histology, fluorescence):
    assert is_coloured(histology[0][..., :3])
    grey = fluorescence[0]
    assert not is_coloured(np.stack([grey] * 3, axis=-1))


def test_a_modality_is_guessed_from_what_is_found():
    """Of two grey modalities, the one whose object is as bright as what was found; the coloured one is not asked."""
    bright, dark = (((9.0, 1.0), *[shade] * 3) for shade in ((60.0, 20.0), (10.0, 70.0)))
    red = ((9.0, 1.0), (60.0, 20.0), (10.0, 70.0), (10.0, 70.0))
    table = RecognitionTable(
        {"Bright": ("bone",), "Dark": ("bone", "air"), "Red": ("blood",), "Unknown": ("thing",)},
        {("Bright", "bone"): bright, ("Dark", "bone"): dark, ("Dark", "air"): dark, ("Red", "blood"): red},
    )
    asked = []

    def ask(names):
        asked.extend(names)
        return [mask(name, box(2, 2, 9, 9) if name == "bone" else np.zeros((20, 20))) for name in names]

    modality, scores = guess_modality(table, np.full((20, 20, 3), 192, np.uint8), ask)
    assert modality == "Bright"
    assert list(scores) == ["Bright", "Dark"]
    assert scores["Bright"] > 0.05 > scores["Dark"]
    assert asked == ["bone", "air"]
    with pytest.raises(ModalityError, match=r"could not be guessed.*Bright"):
        guess_modality(table, np.full((20, 20, 3), 110, np.uint8), ask)
    with pytest.raises(ModalityError, match=r"This model has no table of what to look for.*calibrate"):
        guess_modality(RecognitionTable(), np.zeros((20, 20, 3), np.uint8), ask)


def test_kinds_of_images_without_a_list_are_not_guessed(predictor, fluorescence):
    image = predictor.encode(fluorescence[0], scales=())
    guessed, scores = predictor.guess(image)
    table, seldom = predictor.table, next(name for name in scores if name != guessed)
    without = Predictor(predictor.model, "cpu", table=replace(table, lists={seldom: table.lists[seldom]}))
    assert without.guess(image)[0] == seldom
    nothing = Predictor(predictor.model, "cpu", table=replace(table, lists={"Other": ("nucleus",)}))
    with pytest.raises(ModalityError, match="could not be guessed; name its modality, one of: Other"):
        nothing.guess(image)


def test_an_objects_presence_does_not_hang_on_the_site_that_was_guessed(predictor, histology):
    image = predictor.encode(histology[0], scales=())
    masks = predictor.segment(image, ["nucleus"])
    sites = [name for name in predictor.table.lists if name.startswith("Pathology")]
    assert len(sites) > 1
    found = {site: predictor.presences(image, masks, site)[0] for site in sites}
    assert len(set(found.values())) == 1
    assert found[sites[0]] > 0.05
