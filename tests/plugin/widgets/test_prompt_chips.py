"""Prompts typed, pasted, completed, taken back and walked through, as chips."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QLabel, QMenu, QToolButton, QVBoxLayout, QWidget

from napari_biomedparse.ontology import find_object, published_vocabulary
from napari_biomedparse.plugin.widgets.prompt_chips import PromptChip, PromptChips

Key = Qt.Key


@pytest.fixture
def chips(qtbot):
    widget = PromptChips()
    qtbot.addWidget(widget)
    widget.resize(300, 200)
    widget.show()
    qtbot.waitExposed(widget)
    widget.activateWindow()
    widget.line.setFocus()
    qtbot.waitUntil(widget.line.hasFocus)
    return widget


def shown(chips):
    return [chip.prompt for chip in chips.findChildren(PromptChip) if chip.isVisible()]


def offers(chips):
    completer = chips.line.completer()
    popup = completer.popup().model()
    return [popup.index(row, 0).data() for row in range(popup.rowCount())]


def press(qtbot, chips, key, times=1):
    for _ in range(times):
        qtbot.keyClick(chips.line, key)


def test_names_are_offered_in_the_colours_of_the_window(chips, qtbot):
    chips.setStyleSheet("QWidget {background: #123456; color: #fedcba}")
    qtbot.keyClicks(chips.line, "nucle")
    popup = chips.line.completer().popup()
    qtbot.waitUntil(popup.isVisible)
    picture = popup.grab().toImage()
    assert picture.pixelColor(picture.width() // 2, picture.height() - 3).name() == "#123456"


def test_a_comma_makes_a_chip_and_what_is_still_typed_counts(chips, qtbot):
    qtbot.keyClicks(chips.line, "nuclei, cytoplasm")
    assert chips.prompts == ["nuclei", "cytoplasm"]
    assert shown(chips) == ["nuclei"]
    assert chips.line.pending == "cytoplasm"
    assert chips.line.text() == "nuclei, cytoplasm"


def test_enter_makes_a_chip_and_submits_once(chips, qtbot):
    qtbot.keyClicks(chips.line, "nuclei")
    qtbot.waitUntil(chips.line.completer().popup().isVisible)
    with qtbot.waitSignal(chips.submitted, check_params_cb=lambda: shown(chips) == ["nuclei"]):
        press(qtbot, chips, Key.Key_Return)
    assert chips.prompts == shown(chips) == ["nuclei"]
    assert not chips.line.completer().popup().isVisible()
    # The prompts stay, and can be asked again.
    with qtbot.waitSignal(chips.submitted):
        press(qtbot, chips, Key.Key_Enter)


def test_choosing_a_completion_makes_a_chip_and_submits_nothing(chips, qtbot):
    submitted = []
    chips.submitted.connect(lambda: submitted.append(True))
    qtbot.keyClicks(chips.line, "nuclei, LEUK")
    popup = chips.line.completer().popup()
    qtbot.waitUntil(popup.isVisible)
    qtbot.keyClick(popup, Key.Key_Down)
    qtbot.keyClick(popup, Key.Key_Return)
    assert chips.prompts == ["nuclei", "leukocyte"]
    qtbot.waitUntil(lambda: shown(chips) == ["nuclei", "leukocyte"])
    assert chips.line.pending == ""
    assert not submitted


def test_completions_match_anywhere_and_begin_with_the_nearest(chips, qtbot):
    qtbot.keyClicks(chips.line, "nuclei")
    assert offers(chips)[0] == "nuclei"
    assert "tumor nuclei" in offers(chips)


def test_completions_are_those_of_the_modality(chips, qtbot):
    chips.set_modality("CT")
    qtbot.keyClicks(chips.line, "live")
    assert "liver" in offers(chips)
    chips.line.clear()
    chips.set_modality("fluorescence microscopy")
    qtbot.keyClicks(chips.line, "liver")
    assert "liver" not in offers(chips)
    chips.line.clear()
    chips.set_modality(None)
    qtbot.keyClicks(chips.line, "liver")
    assert "liver" in offers(chips)


def test_pasted_lists_become_chips(chips, qtbot):
    QApplication.clipboard().setText("liver, spleen; left  kidney\nright kidney\r\nLiver")
    qtbot.keyClick(chips.line, Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    assert shown(chips) == ["liver", "spleen", "left kidney", "right kidney"]
    # The last word is a repetition of the first.
    assert chips.prompts == shown(chips)


def test_backspace_takes_the_last_chip_back_for_editing(chips, qtbot):
    chips.set_prompts(["nuclei", "stromma"])
    press(qtbot, chips, Key.Key_Backspace)
    assert (shown(chips), chips.line.pending) == (["nuclei"], "stromma")
    press(qtbot, chips, Key.Key_Backspace, times=2)
    qtbot.keyClicks(chips.line, "a,")
    assert shown(chips) == ["nuclei", "stroma"]


def test_the_line_stands_for_all_prompts_for_programs(chips):
    chips.line.setText("a, b,, B ")
    assert chips.prompts == shown(chips) == ["a", "b"]
    assert chips.line.text() == "a, b"
    chips.line.clear()
    assert chips.prompts == shown(chips) == []
    assert chips.line.text() == ""


def test_a_cross_removes_its_chip_by_mouse_and_by_key(chips, qtbot):
    chips.set_prompts(["nuclei", "cytoplasm", "cell"])
    qtbot.keyClicks(chips.line, "axon")
    chip = next(chip for chip in chips.findChildren(PromptChip) if chip.prompt == "cytoplasm")
    with qtbot.waitSignal(chips.changed):
        qtbot.mouseClick(chip.button, Qt.MouseButton.LeftButton)
    assert chips.prompts == ["nuclei", "cell", "axon"]
    qtbot.keyClick(chips.line, Key.Key_Backtab)
    focused = QApplication.focusWidget()
    assert focused.accessibleName() == "Remove cell"
    qtbot.keyClick(focused, Key.Key_Return)
    assert shown(chips) == ["nuclei"]
    assert chips.line.hasFocus()


def test_up_and_down_walk_through_what_was_asked(chips, qtbot):
    for prompts in (["liver"], ["nuclei", "cytoplasm"], ["LIVER"]):
        chips.set_prompts(prompts)
        chips.remember()
    assert chips.history == [["LIVER"], ["nuclei", "cytoplasm"]]
    chips.line.clear()
    qtbot.keyClicks(chips.line, "zzz")
    press(qtbot, chips, Key.Key_Up, times=2)
    assert chips.prompts == ["nuclei", "cytoplasm"]
    press(qtbot, chips, Key.Key_Up)
    assert chips.prompts == ["nuclei", "cytoplasm"]
    press(qtbot, chips, Key.Key_Down)
    assert chips.prompts == ["LIVER"]
    # What was being written comes back.
    press(qtbot, chips, Key.Key_Down)
    assert chips.prompts == ["zzz"]


def test_up_skips_what_is_shown_already(chips, qtbot):
    chips.history = [["nuclei"], ["liver"]]
    chips.set_prompts(["nuclei"])
    press(qtbot, chips, Key.Key_Up)
    assert chips.prompts == ["liver"]


def test_the_history_keeps_the_newest_fifty(chips):
    chips.history = [[], *([f"term {number}"] for number in range(60))]
    assert chips.history == [[f"term {number}"] for number in range(50)]
    chips.set_prompts(["newest"])
    chips.remember()
    assert chips.history[0] == ["newest"]
    assert len(chips.history) == 50


def hint(chips):
    return chips.findChild(QLabel, "unknown_terms")


def test_a_word_that_is_not_known_is_marked_and_can_be_replaced_by_keyboard(chips, qtbot):
    chips.line.setText("nuclei, stromma")
    assert [chip.known for chip in chips.findChildren(PromptChip) if chip.isVisible()] == [True, False]
    assert hint(chips).isVisible()
    assert "“stromma” is not a known term; nearest: " in hint(chips).text()
    template = chips.findChild(QToolButton, "template")
    qtbot.keyClick(chips.line, Key.Key_Tab)
    assert template.hasFocus()
    qtbot.keyClick(template, Key.Key_Tab)
    assert hint(chips).hasFocus()
    qtbot.keyClick(hint(chips), Key.Key_Return)
    assert chips.prompts == ["nuclei", "stroma"]
    assert not hint(chips).isVisible()


def test_words_are_shown_as_they_are_typed(chips):
    chips.line.setText("<b>bold</b> & flux")
    assert "&lt;b&gt;bold" in hint(chips).text()
    assert "asked as it is" in hint(chips).text()


def test_suggestions_go_with_the_modality_and_the_models_vocabulary(chips):
    chips.line.setText("mitochondria")
    assert not hint(chips).isVisible()
    chips.set_vocabulary(published_vocabulary())
    assert "“mitochondria” is not a known term" in hint(chips).text()
    chips.set_vocabulary(None)
    chips.line.setText("nucleuss")
    chips.set_modality("pathology")
    assert ">nucleus<" in hint(chips).text()
    chips.set_modality("CT")
    assert ">nucleus<" not in hint(chips).text()


def phrasings(chips):
    menu = chips.findChild(QToolButton, "template").menu()
    menu.aboutToShow.emit()
    return {action.text(): action for action in menu.actions()}


def test_the_last_prompt_can_be_phrased_as_in_training(chips, qtbot):
    assert [action.isEnabled() for action in phrasings(chips).values()] == [False]
    chips.set_modality("fluorescence microscopy")
    qtbot.keyClicks(chips.line, "cytoplasm, nuclei")
    phrase = "nuclei in cell fluorescence microscopy"
    phrasings(chips)[phrase].trigger()
    assert chips.prompts == ["cytoplasm", phrase]
    assert find_object(phrase) is find_object("nuclei")
    # By keyboard too.
    menu = chips.findChild(QToolButton, "template").menu()
    menu.popup(chips.mapToGlobal(chips.rect().bottomLeft()))
    qtbot.waitUntil(menu.isVisible)
    qtbot.keyClick(menu, Key.Key_Down)
    qtbot.keyClick(menu, Key.Key_Return)
    assert chips.prompts == ["cytoplasm", "nuclei in fluorescence microscopy"]


def test_chips_wrap_and_nothing_is_wider_than_the_dock(qtbot):
    box = QWidget()
    layout = QVBoxLayout(box)
    chips = PromptChips()
    layout.addWidget(chips)
    layout.addStretch()
    qtbot.addWidget(box)
    chips.set_prompts(["a very long prompt that nobody would ever type in earnest", *"abcdefghijklmnop"])
    box.resize(300, 400)
    box.show()
    qtbot.waitExposed(box)
    assert box.width() == 300
    assert box.minimumSizeHint().width() <= 300
    visible = [chip for chip in chips.findChildren(PromptChip) if chip.isVisible()]
    assert len(visible) == 17
    assert all(chip.x() + chip.width() <= chips.width() for chip in visible)
    assert len({chip.y() for chip in visible}) > 2
    # The line lies below the last chip.
    assert visible[-1].mapTo(chips, visible[-1].rect().bottomLeft()).y() < chips.line.y()


def test_every_control_is_named(chips):
    chips.line.setText("nuclei, stromma")
    controls = [
        widget
        for widget in chips.findChildren(QWidget)
        if widget.focusPolicy() != Qt.FocusPolicy.NoFocus and not isinstance(widget, QMenu) and widget.isVisible()
    ]
    assert len(controls) == 5
    for control in controls:
        assert control.toolTip(), control
        assert control.accessibleName() or control.text(), control
