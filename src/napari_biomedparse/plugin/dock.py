"""The dock: puts the small widgets together and ties them to the controller."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_warning
from qtpy.QtCore import QEvent, QSignalBlocker, Qt, QTimer
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QPushButton, QScrollArea, QShortcut, QVBoxLayout, QWidget

from napari_biomedparse.engine.session import shared_session
from napari_biomedparse.engine.tables import known_table
from napari_biomedparse.errors import BiomedParseError
from napari_biomedparse.ontology import RecognitionTable
from napari_biomedparse.plugin.activity import Activity
from napari_biomedparse.plugin.controller import Controller
from napari_biomedparse.plugin.layers import settle_cursor
from napari_biomedparse.plugin.planning import picture
from napari_biomedparse.plugin.preview import Preview
from napari_biomedparse.plugin.result import Output
from napari_biomedparse.plugin.result_actions import ResultActions
from napari_biomedparse.plugin.selecting import Choices
from napari_biomedparse.plugin.settings import Settings, load, save
from napari_biomedparse.plugin.to_disk import ToDisk
from napari_biomedparse.plugin.widgets.actions_box import ActionsBox
from napari_biomedparse.plugin.widgets.boxes_switch import BoxesSwitch
from napari_biomedparse.plugin.widgets.disk_box import DiskBox
from napari_biomedparse.plugin.widgets.estimate_line import EstimateLine
from napari_biomedparse.plugin.widgets.finetune_panel import FinetunePanel
from napari_biomedparse.plugin.widgets.image_chooser import ImageChooser
from napari_biomedparse.plugin.widgets.looks_box import LooksBox
from napari_biomedparse.plugin.widgets.modality_chooser import ModalityChooser
from napari_biomedparse.plugin.widgets.model_box import ModelBox
from napari_biomedparse.plugin.widgets.naming import named
from napari_biomedparse.plugin.widgets.objects_box import ObjectsBox
from napari_biomedparse.plugin.widgets.prompt_chips import PromptChips
from napari_biomedparse.plugin.widgets.reading_box import ReadingBox
from napari_biomedparse.plugin.widgets.results_table import ResultsTable
from napari_biomedparse.plugin.widgets.run_progress import RunProgress
from napari_biomedparse.plugin.widgets.scope_chooser import ScopeChooser
from napari_biomedparse.plugin.widgets.section import section
from napari_biomedparse.plugin.widgets.threshold_slider import ShareSlider
from napari_biomedparse.plugin.worker import Work, start_thread

if TYPE_CHECKING:
    import napari.viewer

# Milliseconds without a move of the slider after which all else follows what is shown.
SETTLED = 200
# Pixels of the table's height, for a few rows.
TABLE_HEIGHT = 130


class ParseDock(QWidget):
    """Type what to look for, get labels.

    Parameters
    ----------
    viewer
        The viewer it is docked in.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._session = shared_session()
        self._activity = Activity()
        self.controller = Controller(viewer, self._session, start_thread)
        self.actions = ResultActions(viewer, self.controller, start_thread)
        self.to_disk = ToDisk(viewer, self.controller, self._session, start_thread)
        self._make_controls()
        self._lay_out()
        self._settle_timer = QTimer(self, singleShot=True, interval=SETTLED)
        self._preview = Preview(viewer, self._seen, self.reading.show_picture, start_thread, self)
        self._connect()
        self._restore(load())
        self._refresh()
        self.status.setText("Ready. The model is loaded with the first run.")

    def _make_controls(self) -> None:
        viewer = self._viewer
        self.models = ModelBox()
        self.image = named(ImageChooser(viewer), "image", "Image layer to parse")
        self.modality = named(ModalityChooser(), "modality", "Kind of image; guessed if left at Auto")
        self.scope = named(ScopeChooser(), "scope", "What of the image is parsed")
        self.estimate = named(EstimateLine(viewer, self._plan), "estimate", "What a run has to do")
        self.chips = PromptChips()
        self.prompt = named(self.chips.line, "prompt", "What to look for")
        self.parse = named(QPushButton("Parse"), "parse", "Find the objects that the words name (Enter)")
        self.recognize = named(QPushButton("Recognize all"), "recognize", "Look for every object known in such images")
        self.cancel = named(QPushButton("Cancel"), "cancel", "Stop the run (Esc)")
        self.progress = named(RunProgress(), "progress", "Progress of the run")
        self.results = named(ResultsTable(), "results", "What was found")
        self.results.setMinimumHeight(TABLE_HEIGHT)
        self.threshold = named(ShareSlider(0.5), "threshold", "Probability above which a pixel is labelled")
        self.presence = named(
            ShareSlider(0.0), "presence", "How much what was found must look like the object; below it is left out"
        )
        self.objects = ObjectsBox()
        self.boxes = named(BoxesSwitch(viewer, start_thread), "boxes", "Also draw a box around every object found")
        self.looks = LooksBox()
        self.buttons = ActionsBox()
        self.reading = ReadingBox(viewer)
        self.disk = DiskBox()
        self.finetune = FinetunePanel(
            viewer, device=lambda: self.models.device_name, mixed=lambda: [self.image.layer, *self.reading.beside]
        )
        self.status = named(QLabel(), "status", "State of the plugin")
        self.status.setWordWrap(True)
        # The path of a file must not widen the dock.
        self.status.setMinimumWidth(1)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Model", self.models)
        form.addRow("Image", self.image)
        form.addRow("Modality", self.modality)
        form.addRow("Scope", self.scope)
        form.addRow("", self.estimate)
        form.addRow("Find", self.chips)
        buttons = QHBoxLayout()
        for button in (self.parse, self.recognize, self.cancel):
            buttons.addWidget(button)
        sliders = QFormLayout()
        sliders.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        sliders.addRow("Threshold", self.threshold)
        sliders.addRow("Presence", self.presence)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(6, 6, 6, 6)
        column.addLayout(form)
        column.addLayout(buttons)
        for part in (self.progress, self.status, self.results):
            column.addWidget(part)
        column.addLayout(sliders)
        for part in (self.objects, self.boxes, self.buttons):
            column.addWidget(part)
        self._reading_section = section("Reading", self.reading)
        for closed in (
            section("Layers", self.looks),
            self._reading_section,
            section("Run to disk", self.disk),
            section("Fine-tune", self.finetune),
        ):
            column.addWidget(closed)
        column.addStretch()
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setSizeAdjustPolicy(QScrollArea.SizeAdjustPolicy.AdjustToContents)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self.setMinimumWidth(300)

    def _connect(self) -> None:
        control = self.controller
        for runs in (control, self.to_disk):
            runs.started.connect(self._on_started)
            runs.advanced.connect(self._on_advanced)
            runs.ended.connect(self._on_ended)
            runs.said.connect(self._say)
            # A window that is closed deletes the dock without taking it out first.
            self.destroyed.connect(lambda _dock=None, runs=runs: runs.leave())
        control.changed.connect(self._on_changed)
        # Until then there were only those of what had been found when the first labels came up.
        control.ended.connect(self.boxes.refresh)
        control.ended.connect(self.finetune.prefill)
        control.undone.connect(self.boxes.remove)
        self.actions.said.connect(self._say)
        self.parse.clicked.connect(self._start)
        self.chips.submitted.connect(self._start)
        self.chips.changed.connect(self.estimate.refresh)
        self.recognize.clicked.connect(lambda: self._find([]))
        self.disk.run.clicked.connect(self._start_to_disk)
        self.cancel.clicked.connect(self._cancel)
        escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        escape.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        escape.activated.connect(self._cancel)
        self.threshold.valueChanged.connect(lambda value: self._change(threshold=value))
        self.presence.valueChanged.connect(lambda value: self._change(presence=value))
        self.objects.changed.connect(lambda values: self._change(**values))
        self._settle_timer.timeout.connect(self._settle)
        self.results.threshold_changed.connect(self._change_one)
        self.results.visibility_changed.connect(control.set_visible)
        self.results.reviewed.connect(lambda prompt, verdict: control.review(prompt, verdict or None))
        self.results.chosen.connect(self.actions.go_to)
        self.looks.changed.connect(self._change_looks)
        self.objects.link.toggled.connect(lambda _on: self._change_looks())
        self.models.changed.connect(self._change_model)
        self.finetune.saved.connect(lambda _name: self.models.refill())
        self.image.currentIndexChanged.connect(lambda _index: self._change_image())
        for part in (self.chips, self.reading):
            self.modality.chosen.connect(part.set_modality)
        for signal in (self.scope.currentIndexChanged, self.reading.changed):
            signal.connect(lambda *_: self.estimate.refresh())
        self.reading.changed.connect(self._preview.refresh)
        self._reading_section.toggled.connect(self._preview.refresh)
        self._viewer.dims.events.ndisplay.connect(self._on_ndisplay)
        self.buttons.measure.clicked.connect(self.actions.measure)
        self.buttons.export.clicked.connect(lambda: self.actions.export(self))
        self.buttons.undo.clicked.connect(control.undo)
        self.buttons.script.clicked.connect(self.actions.copy_script)
        self.buttons.command.clicked.connect(self.actions.copy_command)
        self.buttons.again.clicked.connect(lambda: self.actions.run_again(self.image.layer, self.reading.beside))

    def _choices(self) -> Choices:
        return self.reading.choices(self.scope.scope)

    def _start(self) -> None:
        prompts = self.chips.prompts
        if not prompts:
            self.controller.refuse("Type what to look for first, for example: nuclei")
            return
        self.chips.remember()
        self._find(prompts)

    def _start_to_disk(self) -> None:
        folder = self.disk.folder()
        if folder is None:
            self.controller.refuse("Choose a folder for the results first.")
            return
        image, modality = self.image.layer, self.modality.modality
        with self.controller.refusing():
            choices = replace(self._choices(), scope="all")
            self.to_disk.begin(image, self.chips.prompts, choices, modality, folder, self.disk.scheduler)

    def _cancel(self) -> None:
        self.controller.cancel()
        self.to_disk.cancel()

    def _find(self, prompts: list[str]) -> None:
        if self.to_disk.running:
            self.controller.refuse("Wait until the run to the disk has ended, or cancel it.")
            return
        with self.controller.refusing():
            self.controller.find(self.image.layer, prompts, self._choices(), self.modality.modality)

    def _change(self, **changes: Any) -> None:
        self.controller.set_paint(**changes)
        self._settle_timer.start()

    def _change_one(self, prompt: str, threshold: float | None) -> None:
        self.controller.set_threshold_of(prompt, threshold)
        self._settle_timer.start()

    def _settle(self) -> None:
        self.controller.settle()
        self.boxes.refresh()

    def _change_looks(self) -> None:
        # What is chosen is read before anything changes, for the boxes follow the controller.
        looks, link, rule = self.looks, self.objects.link.isChecked(), self.looks.rule.currentData()
        self.controller.set_output(Output(looks.one_layer_each.isChecked(), looks.palette_kind.currentData(), link))
        self._change(rule=rule)

    def _change_model(self) -> None:
        name = self.models.model_name
        self._session.use(name, self.models.device_name)
        try:
            table = known_table(name)
        except (BiomedParseError, OSError):
            # A model that is not there is told about when it is to be used.
            table = RecognitionTable()
        self.modality.offer(table.lists)
        self.chips.set_vocabulary(table.vocabulary)
        self.estimate.refresh()

    def _change_image(self) -> None:
        self.reading.follow(self.image.layer)
        self.estimate.refresh()
        self._preview.refresh()
        self._refresh()

    def _plan(self) -> str:
        """Return what a run has to do."""
        try:
            plan = self.controller.plan(self.image.layer, self.chips.prompts, self._choices())
        except BiomedParseError as error:
            plan = str(error)
        note = self.reading.note.text()
        return "\n".join(filter(None, [plan, note if note != plan else ""]))

    def _seen(self) -> Work | None:
        """Return what reads the plane that the model would see, if anybody is looking."""
        if not self._reading_section.isExpanded() or self.image.layer is None:
            return None
        return picture(self._viewer, self.image.layer, self._choices())

    def _on_started(self, what: str) -> None:
        self.progress.start(what)
        self._activity.start(what)
        self._refresh()

    def _on_advanced(self, done: int, total: int) -> None:
        self.progress.advance(done, total)
        self._activity.advance(done, total)

    def _on_ended(self) -> None:
        self.progress.rest()
        self._activity.end()
        self.estimate.refresh()
        self._refresh()

    def _on_changed(self, result: Any) -> None:
        paint = self.controller.paint
        for slider, value in ((self.threshold, paint.threshold), (self.presence, paint.presence)):
            with QSignalBlocker(slider):
                slider.setValue(value)
        self.objects.follow(paint, self.controller.output.link)
        self.looks.follow(paint.rule)
        self.results.set_rows(self.controller.rows)
        self.boxes.follow(result)
        measured = result is not None and result.recipe.diameter is None
        self.reading.tell_diameter(result.findings.diameter if measured else None)
        self._refresh()

    def _on_ndisplay(self, _event: Any = None) -> None:
        settle_cursor(self._viewer)

    def _say(self, sentence: str, refusal: bool) -> None:
        self.status.setText(sentence)
        if refusal:
            show_warning(sentence)

    def _refresh(self) -> None:
        """Allow what can be done now."""
        running = self.controller.running or self.to_disk.running
        there = self.controller.result is not None
        can_start = not running and self.image.layer is not None
        self.parse.setEnabled(can_start)
        self.recognize.setEnabled(can_start)
        self.cancel.setEnabled(running)
        self.threshold.setEnabled(there)
        self.presence.setEnabled(there)
        self.disk.run.setEnabled(can_start)
        self.buttons.enable(there, running, can_start)

    def _restore(self, settings: Settings) -> None:
        self.models.choose(settings.model, settings.device)
        self._change_model()
        self.scope.choose(settings.scope)
        self.chips.history = [list(words) for words in settings.history]
        self.threshold.setValue(settings.threshold)
        self.objects.restore(settings, settings.link)
        self.looks.restore(settings)
        self.boxes.setChecked(settings.boxes)
        self.controller.set_paint(threshold=settings.threshold, **self.objects.values)
        self._change_image()

    def _keep(self) -> None:
        looks, objects = self.looks, self.objects
        save(
            Settings(
                model=self.models.model_name,
                device=self.models.device_name,
                scope=self.scope.scope,
                threshold=self.threshold.value(),
                boxes=self.boxes.isChecked(),
                one_layer_each=looks.one_layer_each.isChecked(),
                palette=looks.palette_kind.currentData(),
                rule=looks.rule.currentData(),
                link=objects.link.isChecked(),
                history=tuple(tuple(words) for words in self.chips.history),
                **objects.values,
            )
        )

    def event(self, event: QEvent) -> bool:
        """Stop working when taken out of the window: napari then hides the widget but never closes it."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._leave()
        elif event.type() == QEvent.Type.Hide and hasattr(self, "finetune"):
            self._keep()
        return bool(super().event(event))

    def _leave(self) -> None:
        self._keep()
        for part in (self.controller, self.actions, self.to_disk):
            part.leave()
        self.boxes.stop()
        self._settle_timer.stop()
        self._preview.leave()
        self._on_ended()
        self.estimate.leave()
        self._viewer.dims.events.ndisplay.disconnect(self._on_ndisplay)
        self.finetune.leave()
        self.image.disconnect_viewer()
        self.reading.beside_list.disconnect_viewer()
