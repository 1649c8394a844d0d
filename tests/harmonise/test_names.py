import pytest

from napari_biomedparse.harmonise.names import Context, propose, resolve, target_name
from napari_biomedparse.harmonise.sentences import sentences_for
from napari_biomedparse.ontology import all_objects, find_object


@pytest.mark.parametrize(
    ("label", "modality", "site", "name", "how"),
    [
        ("liver", "CT", "abdomen", "liver", "name"),
        ("Inferior vena cava", "CT", "abdomen", "postcava", "name"),
        ("left_kidney", "CT", "abdomen", "left kidney", "name"),
        ("kidney_left", "CT", "abdomen", "left kidney", "name"),
        ("L_kidney", "CT", "abdomen", "left kidney", "name"),
        ("KidneyRight", "CT", "abdomen", "right kidney", "spelling"),
        ("kidneys", "CT", "abdomen", "kidney", "name"),
        ("03_Spleen_seg", "CT", "abdomen", "spleen", "spelling"),
        ("Nuclei-mask", "pathology", "tissue", "nucleus", "spelling"),
        ("LV", "MRI", "heart", "left heart ventricle", "name"),
        ("LV", "ultrasound", "cardiac", "left heart ventricle", "name"),
        ("ED", "MRI-FLAIR", "brain", "brain tumor edema", "spelling"),
        ("non-enhancing tumour", "MRI", "brain", "non-enhancing tumor", "name"),
        ("tumour", "CT", "liver", "liver tumor", "name"),
        ("Tumor_mask", "ultrasound", "breast", "breast tumor", "spelling"),
        ("vessels", "CT", "liver", "hepatic vessel", "name"),
        ("polyp", "endoscope", "colon", "colon polyp", "name"),
        ("MYO", "MRI", "cardiac", "myocardium", "spelling"),
        ("PZ", "MRI", "prostate", "prostate peripheral zone", "name"),
        ("embolism", "CT", "pulmonary", "pulmonary embolism", "site"),
        ("cancer", "ultrasound", "breast", "malignant breast tumor", "name"),
        ("cancer", "CT", "liver", "liver tumor", "site"),
        ("meningioma", "MRI", "brain", "meningioma", "name"),
        ("kidney cancer", "CT", "abdomen", "kidney tumor", "name"),
        ("nuclei", "pathology", "breast", "nucleus", "name"),
        ("rectum", "MRI", "prostate", "rectum", "name"),
        ("urinary_bladder", "CT", "whole body", "bladder", "name"),
        ("gallblader", "CT", "abdomen", "gallbladder", "similar"),
        ("kidny_right", "CT", "abdomen", "right kidney", "similar"),
    ],
)
def test_noisy_labels_find_their_object(label, modality, site, name, how):
    proposal = propose(label, Context(modality, site))
    assert (proposal.found, proposal.how) == (find_object(name), how)
    assert 0 < proposal.score <= 1


@pytest.mark.parametrize(
    ("label", "modality", "site", "how"),
    [
        ("tumor", "CT", "abdomen", "elsewhere"),
        ("nodule", "CT", "abdomen", "elsewhere"),
        ("LV", "MRI", "brain", "elsewhere"),
        ("polyp", "ultrasound", "gallbladder", "elsewhere"),
        ("cyst", "CT", "liver", "elsewhere"),
        ("cancer", "CT", "abdomen", "elsewhere"),
        ("Malignant_neoplasm", "MRI", "thyroid", "elsewhere"),
        ("adenoma", "MRI", "brain", "elsewhere"),
        ("gland", "pathology", "prostate", "elsewhere"),
        ("Neoplastic", "pathology", "breast", "elsewhere"),
        ("Epithelial", "pathology", "colon", "elsewhere"),
        ("hepatic", "CT", "liver", "elsewhere"),
        ("nuclei", "MRI", "brain", "elsewhere"),
        ("membrane", "OCT", "retinal", "elsewhere"),
        ("focus", "MRI", "brain", "elsewhere"),
        ("zebra", "CT", "abdomen", "nothing"),
        ("ED", "CT", "abdomen", "nothing"),
        ("Background", "CT", "abdomen", "background"),
    ],
)
def test_what_cannot_be_told_is_not_taken_for_sure(label, modality, site, how):
    context = Context(modality, site)
    assert propose(label, context).how == how
    assert resolve(label, context) is None


@pytest.mark.parametrize(
    ("label", "modality", "site", "other"),
    [
        ("cervical", "X-Ray", "spine", "cervix"),
        ("infarct", "MRI", "heart", "stroke lesion"),
        ("hematoma", "CT", "abdomen", "brain hemorrhage"),
        ("bleeding", "endoscope", "colon", "brain hemorrhage"),
        ("bleeding", "CT", "whole body", "brain hemorrhage"),
        ("meningioma", "MRI", "abdomen", "meningioma"),
        ("meningioma", "CT", "whole body", "meningioma"),
    ],
)
def test_what_is_wrong_at_one_site_is_not_taken_for_what_is_wrong_at_another(label, modality, site, other):
    found = resolve(label, Context(modality, site))
    assert found is None or found != find_object(other)


def test_names_that_differ_in_a_side_are_not_similar():
    chest = Context("CT", "chest")
    assert propose("upper lung lobee", chest).found == find_object("upper lung lobe")
    assert propose("rihgt adrenal gland", chest).found != find_object("left adrenal gland")


def test_a_similar_name_is_of_something_that_the_modality_shows():
    assert propose("atrium", Context("MRI", "heart")).found != find_object("bacterium")


def test_objects_are_called_as_published_in_their_place():
    called = {
        ("liver tumor", "CT", "liver"): "tumor",
        ("hepatic vessel", "CT", "liver"): "vessel",
        ("brain tumor edema", "MRI-FLAIR", "brain"): "edema",
        ("colon polyp", "endoscope", "colon"): "polyp",
        ("pubic symphysis", "ultrasound", "transperineal"): "public symphysis",
        ("kidney tumor", "CT", "abdomen"): "kidney tumor",
        ("liver tumor", "CT", "abdomen"): "liver tumor",
        ("left heart ventricle", "MRI", "heart"): "left heart ventricle",
        ("nuclei", "pathology", "breast"): "nucleus",
    }
    assert {row: target_name(find_object(row[0]), Context(*row[1:])) for row in called} == called


def test_a_published_target_name_means_its_object_wherever_it_occurs():
    contexts = [
        (entry, Context(modality, site))
        for entry in all_objects()
        for modality in entry.modalities
        for site in entry.sites
    ]
    # What is said of every site, such as "tumor", is another object where the site has its own.
    wrong = [
        (e.id, context) for e, context in contexts if e.published and resolve(target_name(e, context), context) != e
    ]
    assert len(contexts) > 100
    assert not wrong


def test_a_triple_has_several_phrasings_in_lower_case_the_published_first():
    words = sentences_for("tumor", find_object("liver tumor"), Context("CT", "liver"), ["Hepatic Mass"])
    assert words[:2] == ["tumor in liver ct", "tumor"]
    assert {"liver tumor", "tumour", "masses", "hepatic mass", "tumor in ct", "hepatic mass in liver ct"} <= set(words)
    assert len(words) == len(set(words))
    assert all(word == word.lower() for word in words)
    nuclei = sentences_for("nucleus", find_object("nucleus"), Context("pathology", "breast"))
    assert {"nuclei", "cell nuclei", "nuclei in breast pathology"} <= set(nuclei)
    gizmo = sentences_for("gizmo", None, Context("MRI", "head"))
    assert gizmo == ["gizmo in head mri", "gizmo", "gizmo in mri"]


def test_words_that_may_mean_something_else_there_are_no_phrasing():
    words = sentences_for("liver tumor", find_object("liver tumor"), Context("CT", "abdomen"))
    assert "liver tumor" in words
    assert "tumor" not in words
