"""Ask a model about annotated images, one by one, and keep the figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_biomedparse.engine.predictor import Predictor
from napari_biomedparse.engine.prompts import PromptError
from napari_biomedparse.evaluation.baselines import Baselines
from napari_biomedparse.evaluation.figures import Figures
from napari_biomedparse.evaluation.overlap import dice
from napari_biomedparse.evaluation.paraphrases import PhraseScore, phrasings
from napari_biomedparse.evaluation.presence import AbsentPrompts, presence_of
from napari_biomedparse.evaluation.recognition import recognise_image
from napari_biomedparse.evaluation.scores import key_of, score_mask
from napari_biomedparse.training.dataset import DataError, Example, Split, of_size, read_split


@dataclass(frozen=True)
class Measures:
    """What is measured.

    Attributes
    ----------
    prompts
        Words asked instead of a target's name; ``{target}``, ``{site}`` and ``{modality}`` stand for the image's own.
    paraphrases
        Also ask every name the ontology has for a target.
    presence
        Also ask for objects that are not there.
    recognition
        Also look for everything.
    baselines
        Also measure what trivial methods reach.
    """

    prompts: tuple[str, ...] = ()
    paraphrases: bool = False
    presence: bool = False
    recognition: bool = False
    baselines: bool = False


class Evaluation:
    """Measure a model on data sets in the BiomedParseData layout, image by image.

    Parameters
    ----------
    predictor
        The model.
    datasets
        Folders of the sets.
    split
        Which images.
    measures
        What is measured.

    Attributes
    ----------
    examples
        The images that have masks.
    without_masks
        Folders of the sets that have no such image.

    Raises
    ------
    DataError
        If a folder is no data set, two have one name, no image in them has a mask, or baselines are wanted and a train
        split is not complete.
    PromptError
        If a prompt has other braces than those that are filled in.
    """

    def __init__(
        self, predictor: Predictor, datasets: Sequence[Path], split: Split = "test", measures: Measures | None = None
    ) -> None:
        self.measures = measures or Measures()
        for prompt in self.measures.prompts:
            fill(prompt, "target", "site", "modality")
        names = [folder.resolve().name for folder in datasets]
        if twice := {name for name in names if names.count(name) > 1}:
            raise DataError(f"Several data sets are called {', '.join(sorted(twice))}: evaluate them one by one.")
        sets = {folder: read_split(folder, split) for folder in datasets}
        self.examples = [example for examples in sets.values() for example in examples]
        self.without_masks = [folder for folder, examples in sets.items() if not examples]
        if not self.examples:
            raise DataError(f"There is no image with a mask in the {split} split of {', '.join(map(str, datasets))}.")
        self._predictor = predictor
        self._absent = AbsentPrompts(self.examples, predictor.table)
        self._baselines = Baselines(datasets) if self.measures.baselines else None
        self._annotated: dict[str, set[str]] = defaultdict(set)
        for example in self.examples:
            self._annotated[example.dataset].update(example.masks)

    def measure(self, example: Example) -> Figures:
        """Ask about one image; it is encoded once.

        Raises
        ------
        DataError
            If a mask has another shape than the image.
        ImageError, OSError
            If a file cannot be read.
        """
        image = example.read_image()
        shape = image.shape[0], image.shape[1]
        truths = {target: of_size(example.read_mask(target), shape, path) for target, path in example.masks.items()}
        asked = [(target, prompt) for target in truths for prompt in self._prompts(example, target)]
        spoken = [(target, phrase) for target in truths for phrase in self._phrasings(example, target)]
        absent = self._absent.choose(example) if self.measures.presence else []
        encoded = self._predictor.encode(image, scales=())
        prompts = list(dict.fromkeys([*(p for _, p in asked), *(p for _, p in spoken), *(p for p, _ in absent)]))
        answers = dict(zip(prompts, self._predictor.segment(encoded, prompts), strict=True))
        figures = Figures()
        for target, prompt in asked:
            objects = None
            if target in example.instances:
                objects = of_size(example.read_instances(target), shape, example.instances[target])
            figures.scores.append(score_mask(example, target, answers[prompt], truths[target], objects))
            if self.measures.presence and truths[target].any():
                figures.presence.append(presence_of(example, answers[prompt], "present"))
        for target, phrase in spoken:
            overlap = dice(answers[phrase].mask(), truths[target])
            figures.phrases.append(PhraseScore(key_of(example, target), phrase, overlap))
        figures.presence += [presence_of(example, answers[prompt], kind) for prompt, kind in absent]
        if self.measures.recognition:
            shown = [target for target, truth in truths.items() if truth.any()]
            judged = self._annotated[example.dataset]
            figures.recognised += recognise_image(self._predictor, encoded, example, shown, judged)
        if self._baselines:
            figures.baselines += self._baselines.score(example, image, truths)
        return figures

    def _phrasings(self, example: Example, target: str) -> list[str]:
        return phrasings(target, example.modality, example.site) if self.measures.paraphrases else []

    def _prompts(self, example: Example, target: str) -> list[str]:
        templates = self.measures.prompts or ("{target}",)
        return list(dict.fromkeys(fill(each, target, example.site, example.modality) for each in templates))


def fill(prompt: str, target: str, site: str, modality: str) -> str:
    """Put an image's own words in place of ``{target}``, ``{site}`` and ``{modality}``.

    Raises
    ------
    PromptError
        If the prompt has other braces.
    """
    try:
        return prompt.format(target=target, site=site, modality=modality)
    except (ValueError, LookupError, AttributeError) as error:
        raise PromptError(
            f"The prompt {prompt!r} may hold {{target}}, {{site}} and {{modality}}, but no other braces."
        ) from error
