"""Teach a model from labels that were corrected."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from threading import Event
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from weakref import ref

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_biomedparse.errors import BiomedParseError
from napari_biomedparse.plugin.examples import Plane, labelled_planes, meanings, modality_of, names_of
from napari_biomedparse.plugin.widgets.image_chooser import ImageChooser
from napari_biomedparse.plugin.widgets.naming import named
from napari_biomedparse.plugin.widgets.run_progress import RunProgress
from napari_biomedparse.plugin.worker import Failure, Job, StartWork, Work, start_thread
from napari_biomedparse.weights.folders import models_folder
from napari_biomedparse.weights.own_models import check_name, model_choices, own_model_path

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_biomedparse.training.finetune import Tuned

METHODS = {"frozen": "Frozen image encoder", "adapters": "Low-rank adapters"}
STEPS = 60
MOST_STEPS = 5000


class Finished(NamedTuple):
    """A new model (:class:`~napari_biomedparse.training.finetune.Tuned`), and its mean Dice before and after."""

    tuned: Tuned
    before: float
    after: float


class FinetunePanel(QWidget):
    """Train a model of one's own on a labels layer, and say what that brought.

    Parameters
    ----------
    viewer
        The viewer whose layers are listed.
    start
        How work is done in the background.
    device
        Tells which device to train on.
    mixed
        Tells which layers are mixed with each other now.
    parent
        Parent widget.
    """

    saved = Signal(str)
    """Emitted with the name of a new model."""

    def __init__(
        self,
        viewer: ViewerModel,
        start: StartWork = start_thread,
        device: Callable[[], str] = lambda: "auto",
        mixed: Callable[[], Collection[Image | None]] = tuple,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("finetune")
        self._start_work, self._device, self._mixed = start, device, mixed
        self._viewer = viewer
        self._job: Job | None = None
        self._stopping, self._left = Event(), False
        # A new model that is not saved yet, and what is said of it.
        self._tuned: Tuned | None = None
        self._gain = ""
        # The labels that words were typed for, held weakly.
        self._typed_for: Callable[[], Any] = lambda: None
        self.labels = named(ImageChooser(viewer, Labels), "finetune_labels", "Labels to learn from")
        self.image = named(ImageChooser(viewer), "finetune_image", "Image that the labels belong to")
        self.prompt = named(QLineEdit(), "finetune_prompt", "What the labels show: one word, or one for each value")
        self.prompt.setPlaceholderText("nuclei")
        self.base = named(QComboBox(), "finetune_base", "Model to start from; it stays as it is")
        self.method = named(QComboBox(), "finetune_method", "What is trained")
        self.steps = named(QSpinBox(), "finetune_steps", "Training steps")
        self.name = named(QLineEdit(), "finetune_name", "Name of the new model")
        self.name.setPlaceholderText("my nuclei")
        self.start = named(QPushButton("Fine-tune"), "finetune_start", "Train a new model on the labels")
        self.cancel = named(QPushButton("Cancel"), "finetune_cancel", "Stop; nothing is saved")
        self.save = named(QPushButton("Save anyway"), "finetune_save", "Save the new model under the name above")
        self.discard = named(QPushButton("Discard"), "finetune_discard", "Forget the new model")
        self.progress = named(RunProgress(), "finetune_progress", "Progress of the fine-tuning")
        self.result = named(QLabel(), "finetune_result", "What the fine-tuning brought")
        self.result.setWordWrap(True)
        # A layer's name must not widen the dock.
        self.result.setMinimumWidth(1)
        for key, title in METHODS.items():
            self.method.addItem(title, key)
        self.steps.setRange(1, MOST_STEPS)
        self.steps.setValue(STEPS)
        self._lay_out()
        self.start.clicked.connect(self._begin)
        self.cancel.clicked.connect(self.stop)
        self.save.clicked.connect(self._save)
        self.discard.clicked.connect(self._discard)
        self.labels.currentIndexChanged.connect(lambda _index: self.prefill())
        self.prompt.textEdited.connect(self._on_typed)
        self.image.currentIndexChanged.connect(lambda _index: self._refresh())
        self.refill()
        self.prefill()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows = {
            "Labels": self.labels,
            "Image": self.image,
            "They show": self.prompt,
            "Start from": self.base,
            "Method": self.method,
            "Steps": self.steps,
            "New name": self.name,
        }
        for title, widget in rows.items():
            form.addRow(title, widget)
        for box in (self.base, self.method):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        buttons = QHBoxLayout()
        buttons.addWidget(self.start)
        buttons.addWidget(self.cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(form)
        column.addLayout(buttons)
        column.addWidget(self.progress)
        column.addWidget(self.result)
        choice = QHBoxLayout()
        choice.addWidget(self.save)
        choice.addWidget(self.discard)
        column.addLayout(choice)

    @property
    def busy(self) -> bool:
        """Whether a model is being trained."""
        return self._job is not None

    def refill(self) -> None:
        """List the models that there are now to start from."""
        chosen = self.base.currentData()
        self.base.clear()
        for choice in model_choices():
            if choice.ready:
                self.base.addItem(choice.title, choice.name)
        self.base.setCurrentIndex(max(0, self.base.findData(chosen)))

    def stop(self) -> None:
        """Stop training after the step that is being taken; nothing is saved."""
        if self._job is None:
            return
        # Not told to quit: work that quits is not resumed, and so cannot take away what it has written so far.
        self._stopping.set()
        self.cancel.setEnabled(False)
        self.progress.start("Stopping")

    def leave(self) -> None:
        """Stop training and listening; for when the widget goes away before the viewer."""
        self.stop()
        self._left = True
        self._forget()
        self.labels.disconnect_viewer()
        self.image.disconnect_viewer()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """List the models anew: one may have come since."""
        if self._job is None:
            self.refill()
        self.prefill()
        super().showEvent(event)

    def prefill(self) -> None:
        """Write down what the labels are called, as far as their layer says it and nothing was typed for it."""
        layer = self.labels.layer
        if layer is None or self._typed_for() is not layer:
            names = names_of(layer) if layer is not None else {}
            self.prompt.setText(", ".join(dict.fromkeys(names.values())))
        self._refresh()

    def _on_typed(self, _text: str) -> None:
        if self.labels.layer is not None:
            self._typed_for = ref(self.labels.layer)

    def _begin(self) -> None:
        if self._job is not None or self._tuned is not None:
            return
        try:
            work = self._work()
        except (BiomedParseError, OSError) as error:
            self.result.setText(str(error))
            return
        self.result.setText("")
        self.progress.start("Loading the model")
        self._job = self._start_work(work, self._seen, self._ended)
        self._refresh()

    def _work(self) -> Work:
        """Return what is to be done, with copies of all it needs."""
        image, labels = self.image.layer, self.labels.layer
        check_name(self.name.text().strip())
        beside = [other for other in self._mixed() if other not in (None, image)]
        planes = labelled_planes(self._viewer, image, labels, beside)
        values = {int(value) for _, numbers in planes for value in np.unique(numbers)} - {0}
        words = [word for word in (" ".join(part.split()) for part in self.prompt.text().split(",")) if word]
        prompts = meanings(values, names_of(labels), words)
        base, method, steps = self.base.currentData(), self.method.currentData(), self.steps.value()
        self._stopping = Event()
        return _training(planes, prompts, modality_of(labels), base, method, steps, self._device(), self._stopping)

    def _seen(self, event: Any) -> None:
        if isinstance(event, Finished):
            self._tuned = event.tuned
            self._gain = f"Dice on the held-back part: {event.before:.2f} before, {event.after:.2f} after."
            if self._left:
                self._forget()
            elif event.tuned.better:
                self._save()
            else:
                self.result.setText(f"{self._gain} The new model is worse there, so it is not saved yet.")
        elif self._left or self._stopping.is_set():
            return
        elif event.loss is None:
            self.progress.start("Measuring")
        else:
            self.progress.advance(event.step, event.total)

    def _save(self) -> None:
        """Save the new model; where that fails, it stays to be saved under another name."""
        if self._tuned is None:
            return
        name = self.name.text().strip()
        try:
            check_name(name)
            self._tuned.save(own_model_path(name))
        except (BiomedParseError, OSError) as error:
            self.result.setText(f"{self._gain} {error}")
        else:
            self._tuned = None
            self.result.setText(f"{self._gain} Saved as {name!r}.")
            self.refill()
            self.saved.emit(name)
        self._refresh()

    def _discard(self) -> None:
        self._forget()
        self.result.setText(f"{self._gain} The new model was discarded.")
        self._refresh()

    def _forget(self) -> None:
        if self._tuned is not None:
            self._tuned.discard()
            self._tuned = None

    def _ended(self, failure: Failure | None) -> None:
        self._job = None
        if self._left:
            return
        if failure is not None:
            self.result.setText(failure.sentence)
        elif not self.result.text():
            self.result.setText("Stopped; nothing was saved.")
        self.progress.rest()
        self.refill()
        self._refresh()

    def _refresh(self) -> None:
        """Allow what can be done now."""
        running, undecided = self._job is not None, self._tuned is not None
        there = self.labels.layer is not None and self.image.layer is not None
        self.start.setEnabled(there and not running and not undecided)
        self.cancel.setEnabled(running)
        for button in (self.save, self.discard):
            button.setVisible(undecided)


def _training(
    planes: list[Plane],
    prompts: dict[int, str],
    modality: str | None,
    base: str,
    method: Literal["frozen", "adapters"],
    steps: int,
    device: str,
    stopping: Event,
) -> Work:
    def work() -> Generator[Any, None, None]:
        from napari_biomedparse.training.finetune import FinetuneConfig, finetune, mean
        from napari_biomedparse.training.own_labels import Picture
        from napari_biomedparse.weights import locate

        pictures = [Picture(pixels, numbers, prompts, modality) for pixels, numbers in planes]
        config = FinetuneConfig(method=method, steps=steps, device=device)
        run = finetune(pictures, locate(base), models_folder(), config)
        tuned = None
        while tuned is None and not stopping.is_set():
            try:
                yield next(run)
            except StopIteration as end:
                tuned = end.value
        run.close()
        if tuned is not None and stopping.is_set():
            tuned.discard()
        elif tuned is not None:
            yield Finished(tuned, mean(tuned.before), mean(tuned.after))

    return work
