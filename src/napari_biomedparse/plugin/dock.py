"""The dock: puts the small widgets together and starts runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_warning
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QProgressBar, QPushButton, QShortcut, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider

from napari_biomedparse.engine.preprocess import ImageError
from napari_biomedparse.engine.session import Session
from napari_biomedparse.ontology import find_object
from napari_biomedparse.plugin.layers import ParsedLayer
from napari_biomedparse.plugin.planes import Plane, shown_plane
from napari_biomedparse.plugin.widgets.boxes_switch import BoxesSwitch
from napari_biomedparse.plugin.widgets.image_chooser import ImageChooser
from napari_biomedparse.plugin.widgets.prompt_line import PromptLine
from napari_biomedparse.plugin.worker import Failure, parse_plane

if TYPE_CHECKING:
    import napari.viewer
    from napari.qt.threading import GeneratorWorker

    from napari_biomedparse.engine.results import ObjectMask

# Milliseconds without a move of the slider after which the table follows the labels.
SETTLED = 200


class ParseDock(QWidget):
    """Type what to look for, get a labels layer.

    Parameters
    ----------
    viewer
        The viewer it is docked in.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._session = Session()
        self._worker: GeneratorWorker | None = None
        self._parsed: ParsedLayer | None = None

        self.image = self._named(ImageChooser(viewer), "image", "Image layer to parse")
        self.prompt = self._named(PromptLine(), "prompt", "What to look for")
        self.parse = self._named(QPushButton("Parse"), "parse", "Find the objects on the shown plane (Enter)")
        self.cancel = self._named(QPushButton("Cancel"), "cancel", "Stop the run (Esc)")
        self.progress = self._named(QProgressBar(), "progress", "Progress of the run")
        self.threshold = self._named(
            QLabeledDoubleSlider(Qt.Orientation.Horizontal), "threshold", "Probability above which a pixel is labelled"
        )
        self.threshold.setRange(0, 1)
        self.threshold.setSingleStep(0.01)
        self.threshold.setValue(0.5)
        self.boxes = self._named(BoxesSwitch(viewer), "boxes", "Also draw a box around every object found")
        self.status = self._named(QLabel(), "status", "State of the plugin")
        self.status.setWordWrap(True)
        self._lay_out()

        self._table_timer = QTimer(self, singleShot=True, interval=SETTLED)
        self._table_timer.timeout.connect(self._describe)
        self.parse.clicked.connect(self._start)
        self.prompt.returnPressed.connect(self._start)
        self.cancel.clicked.connect(self._cancel)
        self.threshold.valueChanged.connect(self._repaint)
        escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        escape.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        escape.activated.connect(self._cancel)
        self.image.currentIndexChanged.connect(self._refresh_controls)
        viewer.layers.events.removed.connect(self._forget_deleted)
        self._rest()
        self.status.setText("Ready. The model is loaded with the first run.")

    @staticmethod
    def _named(widget: Any, name: str, description: str) -> Any:
        widget.setObjectName(name)
        widget.setAccessibleName(description)
        widget.setToolTip(description)
        return widget

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.parse, 2)
        buttons.addWidget(self.cancel, 1)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Image", self.image)
        form.addRow("Find", self.prompt)
        form.addRow(buttons)
        form.addRow(self.progress)
        form.addRow("Threshold", self.threshold)
        form.addRow("", self.boxes)
        form.addRow(self.status)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addStretch()
        self.setMinimumWidth(300)

    def _refresh_controls(self, _index: int = 0) -> None:
        running = self._worker is not None
        self.parse.setEnabled(not running and self.image.layer is not None)
        self.cancel.setEnabled(running)
        self.threshold.setEnabled(self._parsed is not None)

    def _start(self) -> None:
        if self._worker is not None:
            return
        prompts = self.prompt.prompts
        if not prompts:
            self._refuse("Type what to look for first, for example: nuclei")
            return
        if self.image.layer is None:
            self._refuse("Open an image first, or choose one from File > Open Sample > BiomedParse.")
            return
        try:
            plane = shown_plane(self._viewer, self.image.layer)
            lazy = plane.lazy()
        except ImageError as error:
            self._refuse(str(error))
            return
        worker = parse_plane(self._session, plane, lazy, prompts)
        worker.yielded.connect(self._advance)
        # The slots take the worker along, so that a result that comes late is not taken for the current run's.
        worker.returned.connect(lambda outcome: self._show(worker, plane, outcome))
        worker.finished.connect(lambda: self._finish(worker))
        self._worker = worker
        self.progress.setRange(0, 0)
        self.status.setText(f"Looking for {', '.join(prompts)} on {plane.layer.name} …")
        self._refresh_controls()
        worker.start()

    def _cancel(self) -> None:
        if self._worker is None:
            return
        self._worker.quit()
        self._worker = None
        self._rest()
        self.status.setText("Cancelled.")

    def _advance(self, step: Any) -> None:
        if self._worker is not None:
            self.progress.setTextVisible(True)
            self.progress.setRange(0, step.total)
            self.progress.setValue(step.done)

    def _show(self, worker: GeneratorWorker, plane: Plane, masks: list[ObjectMask] | Failure) -> None:
        if worker is not self._worker:
            return
        if isinstance(masks, Failure):
            self._refuse(masks.sentence)
            return
        try:
            parsed = ParsedLayer(plane, masks, self.threshold.value(), self._session.model)
            parsed.add_to(self._viewer)
        except MemoryError:
            self._refuse(f"There is not enough memory for labels of the shape {plane.shape}; crop the image first.")
            return
        self._parsed = parsed
        self.boxes.follow(parsed)
        confident = [
            f"{mask.prompt} (confidence {mask.confidence:.2f})" for mask in masks if mask.mask(parsed.threshold).any()
        ]
        absent = [mask.prompt for mask in masks if not mask.mask(parsed.threshold).any()]
        deaf = [mask.prompt for mask in masks if not mask.depends_on_words]
        unknown = [mask.prompt for mask in masks if find_object(mask.prompt) is None]
        sentences = [f"Found {', '.join(confident)}."] if confident else []
        sentences += [f"Not found: {', '.join(absent)}."] if absent else []
        sentences += [f"Does not depend on your words: {', '.join(deaf)}."] if deaf else []
        sentences += [f"Not in the vocabulary, so less certain: {', '.join(unknown)}."] if unknown else []
        self.status.setText(" ".join(sentences))

    def _refuse(self, sentence: str) -> None:
        self.status.setText(sentence)
        show_warning(sentence)

    def _finish(self, worker: GeneratorWorker) -> None:
        if worker is self._worker:
            self._worker = None
            self._rest()

    def _rest(self) -> None:
        """Let the controls show that nothing runs."""
        self.progress.reset()
        self.progress.setRange(0, 1)
        self.progress.setTextVisible(False)
        self._refresh_controls()

    def _repaint(self, value: float) -> None:
        if self._parsed is not None:
            self._parsed.paint(value)
            self._table_timer.start()

    def _describe(self) -> None:
        if self._parsed is not None:
            self._parsed.describe()
            self.boxes.refresh()

    def _forget_deleted(self, _event: Any = None) -> None:
        """Forget the result when its layer has been deleted, so that the slider does not move a ghost."""
        if self._parsed is not None and self._parsed.layer not in self._viewer.layers:
            self._parsed = None
            self._refresh_controls()

    def event(self, event: QEvent) -> bool:
        """Stop working when taken out of the window: napari then hides the widget but never closes it."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._leave()
        return bool(super().event(event))

    def _leave(self) -> None:
        self._cancel()
        self.boxes.stop()
        self._viewer.layers.events.removed.disconnect(self._forget_deleted)
        self.image.disconnect_viewer()
