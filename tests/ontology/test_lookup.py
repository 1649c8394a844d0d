"""From words to objects and kinds of images."""

import pytest

from napari_biomedparse.ontology import (
    all_objects,
    ancestors_of,
    children_of,
    descendants_of,
    find_modality,
    find_object,
    occurs_at,
    occurs_in,
    parents_of,
    scale_of,
)
from napari_biomedparse.ontology.lookup import names_in


def identifier(prompt, **context):
    entry = find_object(prompt, **context)
    return entry.id if entry else None


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("nuclei", "nucleus"),
        ("  Cell   NUCLEI ", "nucleus"),
        ("nucleus in tissue pathology", "nucleus"),
        ("pubic symphysis", "public-symphysis"),
        ("inferior vena cava", "postcava"),
        ("nonsense in abdomen CT", None),
        ("flux capacitor", None),
        ("in", None),
        ("", None),
    ],
)
def test_prompts_find_their_object(prompt, found):
    assert identifier(prompt) == found


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("oesophagus", "esophagus"),
        ("Grey-Matter", "gray-matter"),
        ("pancreas tumour", "pancreas-tumor"),
        ("left_kidney", "left-kidney"),
        ("covid 19 infection", "covid-19-infection"),
        ("nerve fibres", "axon"),
    ],
)
def test_spellings_and_hyphens_do_not_matter(prompt, found):
    assert identifier(prompt) == found


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("renal", "kidney"),
        ("renal tumor", "kidney-tumor"),
        ("pulmonary nodules", "lung-nodule"),
        ("nuclear", "nucleus"),
    ],
)
def test_adjectives_stand_for_what_they_belong_to(prompt, found):
    assert identifier(prompt) == found


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("tumor", "breast-tumor"),
        ("tumor in breast ultrasound", "breast-tumor"),
        ("tumour in liver CT", "liver-tumor"),
        ("tumor in abdomen CT", "kidney-tumor"),
        ("tumor in brain MRI-FLAIR", "whole-brain-tumor"),
        ("tumor in CT", "tumor"),
        ("vessel in liver CT", "hepatic-vessel"),
        ("vessels in fundus", "retinal-vessel"),
        ("vessel in moon rock", "vessel"),
        ("lesion in liver MRI", "liver-lesion"),
        ("lesion in CT", "lesion"),
        ("edema in retinal OCT", "cystoid-macular-edema"),
        ("edema in brain MRI-FLAIR", "brain-tumor-edema"),
        ("lesion in skin dermoscopy", "skin-lesion"),
    ],
)
def test_words_of_several_meanings_are_told_apart_by_their_place(prompt, found):
    assert identifier(prompt) == found


def test_the_place_may_be_given_apart_from_the_words():
    assert identifier("tumors", modality="ultrasound", site="breast") == "breast-tumor"
    assert identifier("vessel", modality="fundus") == "retinal-vessel"
    assert identifier("edema", site="retinal") == "cystoid-macular-edema"
    assert identifier("vessel", modality="no such thing") == identifier("vessel") == "retinal-vessel"
    assert identifier("liver", modality="fundus", site="eye") == "liver"


@pytest.mark.parametrize(
    ("prompt", "modality", "site", "found"),
    [
        ("cancer", "CT", "liver", None),
        ("malignant neoplasm", "MRI", "thyroid", None),
        ("cyst", "CT", "liver", None),
        ("gland", "pathology", "prostate", None),
        ("polyp", "ultrasound", None, None),
        ("nodule", "CT", "abdomen", None),
        ("infarct", "MRI", "heart", None),
        ("cervical", "CT", "neck", None),
        ("ventricles", "MRI", "heart", None),
        ("hemorrhage", "CT", "abdomen", "hemorrhage"),
        ("bleeding", "endoscope", "colon", "hemorrhage"),
        ("edema", "CT", "lung", "edema"),
        ("cyst in liver CT", None, None, None),
        ("cancer", "ultrasound", "breast", "malignant-breast-tumor"),
        ("cyst", "CT", "renal", "kidney-cyst"),
        # These say it themselves, or are the same wherever they are.
        ("renal cysts", "CT", "liver", "kidney-cyst"),
        ("livers", "fundus", "eye", "liver"),
        ("erythrocytes", "pathology", "liver", "red-blood-cell"),
        ("nuclei in breast pathology", None, None, "nucleus"),
    ],
)
def test_words_that_leave_out_their_site_mean_nothing_where_their_object_does_not_occur(prompt, modality, site, found):
    assert identifier(prompt, modality=modality, site=site) == found


@pytest.mark.parametrize(
    ("prompt", "modality", "site", "found"),
    [
        ("artery", "CT", "abdomen", "artery"),
        ("artery", "fundus", "retinal", "retinal-artery"),
        ("venules", "fundus", None, "retinal-vein"),
        ("retinal arterioles", None, None, "retinal-artery"),
        ("hematoma", "CT", "brain", "brain-hemorrhage"),
        ("hemorrhages", "fundus", "retinal", "retinal-hemorrhage"),
        ("infarct", "MRI", "brain", "stroke-lesion"),
        ("infarct", None, None, None),
        ("metastases", "MRI-T1-Gd", "brain", "brain-metastasis"),
        ("metastases", "CT", "abdomen", "metastasis"),
        ("ventricles", "MRI", "brain", "brain-ventricles"),
        ("cervical", "MRI", "pelvis", "cervix"),
        ("disc", "fundus", "retinal", "optic-disc"),
        ("discs", "MRI", "spine", "intervertebral-disc"),
        ("papilla", "fundus", None, "optic-disc"),
        ("cup in fundus", None, None, "optic-cup"),
        ("lesion", "ultrasound", "breast", "breast-tumor"),
        ("nodule", "ultrasound", "breast", "breast-tumor"),
        ("nodule", "ultrasound", "thyroid", "thyroid-nodule"),
        ("nodule", "CT", "chest", "lung-nodule"),
        ("carcinoma", "ultrasound", "breast", "malignant-breast-tumor"),
        ("Neoplastic", "pathology", "colon", "neoplastic-cells"),
        ("epithelial", "pathology", "tissue", "epithelial-cells"),
        ("inflammatory", "pathology", None, "inflammatory-cells"),
        ("connective", "pathology", "breast", "connective-tissue-cells"),
        # Not all pathology is of the breast.
        ("cancer cells", "pathology", None, "neoplastic-cells"),
        ("cancer cells", "pathology", "breast", "breast-cancer-cells"),
    ],
)
def test_a_word_is_the_object_of_its_place_and_elsewhere_the_general_one_or_none(prompt, modality, site, found):
    assert identifier(prompt, modality=modality, site=site) == found


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("kidney left", "left-kidney"),
        ("Lt kidney", "left-kidney"),
        ("kidney, Rt", "right-kidney"),
        ("lung_R", "right-lung"),
        ("Lt renal", "left-kidney"),
        ("left", None),
        ("left liver", None),
        ("R", None),
    ],
)
def test_a_side_may_be_short_and_stand_last(prompt, found):
    assert identifier(prompt) == found


@pytest.mark.parametrize(
    ("prompts", "found"),
    [
        ("breast lesion|breast nodules|breast masses", "breast-tumor"),
        ("breast carcinoma|breast cancers", "malignant-breast-tumor"),
        ("LV cavity|LV blood pool|left ventricle cavity", "left-heart-ventricle"),
        ("left lung field", "left-lung"),
        ("kidney calculi|nephrolithiasis", "kidney-stone"),
        ("pigmented lesions", "skin-lesion"),
        ("adenomas", "neoplastic-colon-polyp"),
        ("retinal blood vessel", "retinal-vessel"),
        ("brain cancer", "whole-brain-tumor"),
        ("GBM", "glioblastoma"),
        ("adrenals", "adrenal-gland"),
        ("RUL", "right-upper-lung-lobe"),
        ("LLL", "left-lower-lung-lobe"),
        ("WM", "white-matter"),
        ("T-cells", "t-cell"),
        ("intestines", "bowel"),
    ],
)
def test_words_that_people_type(prompts, found):
    assert {identifier(prompt) for prompt in prompts.split("|")} == {found}


@pytest.mark.parametrize(
    ("part", "whole"),
    [
        ("cytosol", "cytoplasm"),
        ("extracellular matrix", "extracellular space"),
        ("synaptic cleft", "synapse"),
        ("tight junction", "cell junction"),
        ("nuclear lamina", "nuclear envelope"),
        ("glioblastoma", "brain tumor"),
        ("retinal vein", "vein"),
        ("brain hemorrhage", "hemorrhage"),
        ("pons", "brainstem"),
        ("vertebra", "spine"),
    ],
)
def test_a_kind_or_a_piece_is_an_object_of_its_own(part, whole):
    assert find_object(whole) in ancestors_of(find_object(part))


@pytest.mark.parametrize("word", ["pleural", "pericardial"])
def test_what_belongs_to_a_place_is_no_finding_there(word):
    assert identifier(word) is None


def test_an_object_goes_by_the_names_that_mean_it_in_its_place():
    liver_tumor, stone = find_object("liver tumor"), find_object("kidney stone")
    assert {"liver cancer", "tumor", "mass"} < set(names_in(liver_tumor, "CT", "liver"))
    # There it would be the kidney's.
    assert set(names_in(liver_tumor, "CT", "abdomen")) == set(liver_tumor.names)
    assert {"kidney stone", "stone"} < set(names_in(stone, "CT", "abdomen"))
    elsewhere = names_in(find_object("breast cancer"), "CT", "liver")
    assert "breast cancer" in elsewhere
    assert not {"cancer", "malignant tumor"} & set(elsewhere)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ct", "CT"),
        ("X ray", "X-Ray"),
        ("X-Ray-Chest", "X-Ray"),
        ("MRI-FLAIR-Brain", "MRI-FLAIR"),
        ("Endoscopy", "endoscope"),
        ("H&E", "pathology"),
        ("confocal microscopy", "fluorescence microscopy"),
        ("TEM", "electron microscopy"),
        ("DWI", "MRI-DWI"),
        ("ADC map", "MRI-ADC"),
        ("OPT", None),
        ("photograph of a cat", None),
        ("", None),
    ],
)
def test_modalities_are_found(name, found):
    modality = find_modality(name)
    assert (modality.name if modality else None) == found


def test_an_object_occurs_in_a_modality_its_special_cases_and_its_general_case():
    def occurs(prompt, modality):
        return occurs_in(find_object(prompt), find_modality(modality))

    assert occurs("lower-grade glioma", "MRI-FLAIR")
    assert occurs("retinal vessel", "fundus")
    assert not occurs("retinal vessel", "CT")
    assert not occurs("liver", "pathology")
    assert occurs("lung", "MRI-DWI")
    assert occurs("any tumor", "pathology"), "what is said of no modality occurs in any"


@pytest.mark.parametrize(
    ("scale", "prompts"),
    [
        ("organ", "liver|tumor|polyp|skin lesion|optic disc|fetal head|hippocampus|aorta|flux capacitor"),
        ("tissue", "vessel|artery|vein|capillary|axon|myelin|kidney stone|gland|Glands in prostate pathology"),
        (
            "cell",
            "nuclei in fluorescence microscopy|cytoplasm|platelets|neoplastic cells",
        ),
        ("organelle", "mitochondria|synapse|membrane|Golgi"),
    ],
)
def test_scales(scale, prompts):
    assert {scale_of(prompt) for prompt in prompts.split("|")} == {scale}


def test_an_object_occurs_at_its_sites_by_any_of_their_names():
    assert occurs_at(find_object("left ventricle"), "cardiac")
    assert not occurs_at(find_object("left ventricle"), "liver")
    assert occurs_at(find_object("any tumor"), "liver"), "what is said of no site occurs at any"


def test_relatives():
    lobe, lung = find_object("right middle lung lobe"), find_object("lung")
    assert {entry.id for entry in parents_of(lobe)} == {"right-lung", "middle-lung-lobe"}
    assert [entry.id for entry in ancestors_of(lobe)] == ["right-lung", "middle-lung-lobe", "lung"]
    assert lobe in descendants_of(lung)
    assert lobe not in children_of(lung)
    assert len(set(descendants_of(lung))) == len(descendants_of(lung))
    assert parents_of(lung) == ancestors_of(lung) == ()
    for entry in all_objects():
        assert all(entry in children_of(parent) for parent in parents_of(entry))
