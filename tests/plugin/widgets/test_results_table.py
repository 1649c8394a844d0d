"""The table of results, clicked and steered by its keys."""

from dataclasses import replace

import pytest
from qtpy.QtCore import QItemSelectionModel, QPoint, Qt
from qtpy.QtGui import QAction, QFontMetrics
from qtpy.QtWidgets import QDoubleSpinBox, QMainWindow, QStyle, QStyleOptionViewItem

from napari_biomedparse.plugin.rows import ResultRow
from napari_biomedparse.plugin.widgets.results_model import HEADINGS, Column
from napari_biomedparse.plugin.widgets.results_table import BOXES, ResultsTable

Key = Qt.Key
LEFT = Qt.MouseButton.LeftButton

NUCLEI = ResultRow(
    prompt="nuclei",
    name="nucleus",
    colour=(0.2, 0.7, 0.5, 1.0),
    state="found",
    reason="Its mask is bright as those of nuclei are.",
    presence=0.94,
    probability=0.91,
    size=12.4,
    size_unit="µm²",
    count=37,
    visible=True,
    threshold=None,
    review="",
)
STROMA = replace(
    NUCLEI, prompt="stroma", name="stroma", state="doubtful", presence=0.41, probability=0.62, size=45210.4, count=None
)
LIVER = replace(
    NUCLEI, prompt="liver", name="liver", state="not found", presence=None, probability=0.2, size=0.0, count=0
)
ROWS = [STROMA, LIVER, NUCLEI]


@pytest.fixture
def table(qtbot):
    widget = ResultsTable()
    qtbot.addWidget(widget)
    widget.resize(500, 200)
    widget.set_rows(ROWS)
    widget.show()
    qtbot.waitExposed(widget)
    widget.activateWindow()
    widget.setFocus()
    qtbot.waitUntil(widget.hasFocus)
    return widget


def texts(table, column):
    return [table.model().index(row, column).data() for row in range(table.model().rowCount())]


def place(table, row, column):
    return table.visualRect(table.model().index(row, column)).center()


def click(table, qtbot, row, column=Column.STATE):
    qtbot.mouseClick(table.viewport(), LEFT, pos=place(table, row, column))


def press(table, qtbot, *keys):
    for key in keys:
        qtbot.keyClick(table, key)


@pytest.fixture
def said(table):
    """What the table's signals said, in order."""
    heard = []
    table.visibility_changed.connect(lambda *what: heard.append(what))
    table.threshold_changed.connect(lambda *what: heard.append(what))
    table.reviewed.connect(lambda *what: heard.append(what))
    return heard


def test_the_most_certain_come_first_and_headings_sort(table, qtbot):
    assert texts(table, Column.NAME) == ["nucleus", "stroma", "liver"]
    header = table.horizontalHeader()

    def sort_by(column):
        at = header.sectionViewportPosition(column) + header.sectionSize(column) // 2
        qtbot.mouseClick(header.viewport(), LEFT, pos=QPoint(at, 8))

    sort_by(Column.NAME)
    first = texts(table, Column.NAME)
    sort_by(Column.NAME)
    assert sorted([first, texts(table, Column.NAME)]) == [
        ["liver", "nucleus", "stroma"],
        ["stroma", "nucleus", "liver"],
    ]
    sort_by(Column.SIZE)
    assert "liver" in (texts(table, Column.NAME)[0], texts(table, Column.NAME)[-1])


def test_cells_say_it_in_words_and_numbers(table):
    assert texts(table, Column.STATE) == ["found 0.94", "doubtful 0.41", "not found"]
    assert texts(table, Column.PROBABILITY) == ["0.91", "0.62", "0.20"]
    assert texts(table, Column.SIZE) == ["12.4 µm²", "45\u202f210 µm²", ""]
    assert texts(table, Column.COUNT) == ["37", "", "0"]
    assert texts(table, Column.THRESHOLD) == ["", "", ""]
    assert table.model().index(0, Column.STATE).data(Qt.ItemDataRole.ToolTipRole) == NUCLEI.reason
    spoken = table.model().index(0, 0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == NUCLEI.sentence()
    assert spoken == (
        "nucleus: found 0.94, mean probability 0.91, 12.4 µm², 37 objects, shown. "
        "Its mask is bright as those of nuclei are."
    )
    assert replace(LIVER, threshold=0.3, visible=False, review="rejected", count=1, reason="").sentence() == (
        "liver: not found, mean probability 0.20, 1 object, own threshold 0.30, hidden, rejected."
    )
    for column in Column:
        meaning = table.model().headerData(column, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)
        assert meaning == HEADINGS[column][1]


def test_large_and_small_sizes_stay_short():
    assert replace(NUCLEI, size=0.01234, size_unit="mm³").size_text == "0.0123 mm³"
    assert replace(NUCLEI, size=123.456).size_text == "123 µm²"
    assert replace(NUCLEI, size=12345678, size_unit="px").size_text == "1.23e+07 px"


def test_swatches_show_the_colour_and_differ_by_state(table):
    pictures = [table.model().index(row, 0).data(Qt.ItemDataRole.DecorationRole).toImage() for row in range(len(ROWS))]
    # Where the upper right and lower left corners are filled.
    corners = [[picture.pixelColor(9, 3).alpha() > 0, picture.pixelColor(3, 9).alpha() > 0] for picture in pictures]
    assert corners == [[True, True], [False, True], [False, False]]
    assert pictures[0].pixelColor(6, 6).getRgbF()[:3] == pytest.approx(NUCLEI.colour[:3], abs=0.01)


def test_a_click_and_the_keys_choose_a_row(table, qtbot):
    chosen = []
    table.chosen.connect(chosen.append)
    click(table, qtbot, 1)
    press(table, qtbot, Key.Key_N, Key.Key_N, Key.Key_P, Key.Key_Up, Key.Key_Return)
    assert chosen == ["stroma", "liver", "stroma", "nuclei", "nuclei"]
    assert table.current_prompt == "nuclei"


def test_next_begins_at_the_first_row(table, qtbot):
    press(table, qtbot, Key.Key_N)
    assert table.current_prompt == "nuclei"


def test_keys_judge_rows(table, qtbot, said):
    press(table, qtbot, Key.Key_A)
    assert said == []
    press(table, qtbot, Key.Key_N, Key.Key_A, Key.Key_A, Key.Key_N, Key.Key_R)
    assert said == [("nuclei", "accepted"), ("stroma", "rejected")]
    assert texts(table, Column.REVIEW) == ["✓", "✗", ""]
    press(table, qtbot, Key.Key_Delete)
    assert said[-1] == ("stroma", "")
    assert texts(table, Column.REVIEW) == ["✓", "", ""]


def test_space_and_the_check_box_show_and_hide(table, qtbot, said):
    press(table, qtbot, Key.Key_N, Key.Key_Space, Key.Key_Space)
    assert said == [("nuclei", False), ("nuclei", True)]
    index = table.model().index(1, Column.NAME)
    option = QStyleOptionViewItem()
    option.rect = table.visualRect(index)
    option.widget = table
    option.features = QStyleOptionViewItem.ViewItemFeature.HasCheckIndicator
    box = table.style().subElementRect(QStyle.SubElement.SE_ItemViewItemCheckIndicator, option, table)
    qtbot.mouseClick(table.viewport(), LEFT, pos=box.center())
    assert said[2:] == [("stroma", False)]
    assert index.data(Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Unchecked


def editors(table):
    return [box for box in table.findChildren(QDoubleSpinBox) if box.isVisible()]


def editor(table):
    (box,) = editors(table)
    return box


def close_editor(table, qtbot, key):
    qtbot.keyClick(editor(table), key)
    qtbot.waitUntil(lambda: not editors(table))


def test_a_threshold_is_typed_stepped_and_emptied(table, qtbot, said):
    press(table, qtbot, Key.Key_N, Key.Key_T)
    qtbot.keyClicks(editor(table), "0.35")
    close_editor(table, qtbot, Key.Key_Return)
    assert said == [("nuclei", 0.35)]
    assert texts(table, Column.THRESHOLD) == ["0.35", "", ""]
    # Steps count at once.
    click(table, qtbot, 0, Column.THRESHOLD)
    qtbot.mouseDClick(table.viewport(), LEFT, pos=place(table, 0, Column.THRESHOLD))
    qtbot.keyClick(editor(table), Key.Key_Up)
    assert said[1:] == [("nuclei", 0.36)]
    editor(table).selectAll()
    qtbot.keyClick(editor(table), Key.Key_Backspace)
    close_editor(table, qtbot, Key.Key_Return)
    assert said[2:] == [("nuclei", None)]
    assert texts(table, Column.THRESHOLD) == ["", "", ""]


def test_escape_takes_the_steps_of_a_threshold_back(table, qtbot, said):
    press(table, qtbot, Key.Key_N, Key.Key_T)
    qtbot.keyClick(editor(table), Key.Key_Up)
    qtbot.keyClick(editor(table), Key.Key_Up)
    close_editor(table, qtbot, Key.Key_Escape)
    assert said == [("nuclei", 0.5), ("nuclei", 0.51), ("nuclei", None)]


@pytest.mark.parametrize(("typed", "threshold"), [("-1", 1.0), ("7", None), ("0", 0.0), ("1.5", 1.0)])
def test_only_thresholds_can_be_typed(table, qtbot, said, typed, threshold):
    press(table, qtbot, Key.Key_N, Key.Key_T)
    qtbot.keyClicks(editor(table), typed)
    close_editor(table, qtbot, Key.Key_Return)
    assert [value for _, value in said] == ([] if threshold is None else [threshold])


def test_keys_typed_into_a_threshold_do_nothing_to_the_row(table, qtbot, said):
    press(table, qtbot, Key.Key_N, Key.Key_T)
    qtbot.keyClicks(editor(table), "ar ")
    assert said == []


def test_new_rows_keep_selection_order_and_scroll_and_tell_nobody(table, qtbot, said):
    rows = [replace(NUCLEI, prompt=f"term {number}", name=f"term {number:02}") for number in range(40)]
    table.set_rows(rows)
    table.sortByColumn(Column.NAME, Qt.SortOrder.DescendingOrder)
    table.select("term 30")
    table.verticalScrollBar().setValue(5)
    chosen = []
    table.chosen.connect(chosen.append)
    table.set_rows([replace(row, probability=0.1) for row in rows])
    assert (table.current_prompt, table.verticalScrollBar().value()) == ("term 30", 5)
    # Also when there are other rows.
    table.set_rows([*rows[5:], LIVER])
    assert (table.current_prompt, table.verticalScrollBar().value()) == ("term 30", 5)
    assert table.selectionModel().isRowSelected(table.currentIndex().row())
    assert texts(table, Column.NAME)[0] == "term 39"
    table.set_rows([LIVER])
    assert table.current_prompt is None
    assert said == chosen == []


def test_a_threshold_being_typed_survives_new_rows(table, qtbot, said):
    press(table, qtbot, Key.Key_N, Key.Key_T)
    qtbot.keyClicks(editor(table), "0.2")
    table.set_rows([STROMA, LIVER, replace(NUCLEI, probability=0.8)])
    qtbot.keyClicks(editor(table), "5")
    close_editor(table, qtbot, Key.Key_Return)
    assert said == [("nuclei", 0.25)]


def test_two_rows_for_a_prompt_are_refused(table):
    with pytest.raises(ValueError, match="one row"):
        table.set_rows([NUCLEI, NUCLEI])


def test_the_tables_keys_are_not_taken_by_shortcuts_of_the_window(qtbot):
    window = QMainWindow()
    qtbot.addWidget(window)
    table = ResultsTable()
    window.setCentralWidget(table)
    taken = []
    action = QAction("accept", window)
    action.setShortcut("A")
    action.triggered.connect(lambda: taken.append("A"))
    window.addAction(action)
    table.set_rows(ROWS)
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    table.setFocus()
    qtbot.waitUntil(table.hasFocus)
    press(table, qtbot, Key.Key_N)
    with qtbot.waitSignal(table.reviewed):
        press(table, qtbot, Key.Key_A)
    assert not taken


def test_a_narrow_dock_breaks_texts_and_a_wide_one_does_not(table, qtbot):
    table.set_rows([*ROWS, replace(NUCLEI, prompt="long", name="endoplasmic reticulum membrane")])
    table.resize(600, 300)
    one_line = table.rowHeight(0)
    assert not table.horizontalScrollBar().isVisible()
    table.resize(300, 300)
    assert table.rowHeight(0) > one_line
    header = table.horizontalHeader()
    # Name, review, state and probability are in sight.
    assert header.sectionViewportPosition(Column.SIZE) <= table.viewport().width()
    assert table.minimumSizeHint().width() <= 300


def test_names_are_whole_and_all_columns_in_sight_where_there_is_the_room_that_is_asked_for(table):
    table.set_rows([replace(NUCLEI, prompt="c", name="cytoplasm"), NUCLEI])
    table.resize(table.sizeHint())
    header, metrics = table.horizontalHeader(), QFontMetrics(table.font())
    assert header.length() <= table.viewport().width()
    assert header.sectionSize(Column.NAME) >= BOXES + metrics.horizontalAdvance("cytoplasm")
    # In a narrow dock the numbers give way, not the name.
    table.resize(250, 300)
    assert header.sectionSize(Column.NAME) >= BOXES + metrics.horizontalAdvance("cytoplasm")


def test_an_empty_table_takes_its_keys(table, qtbot, said):
    table.set_rows([])
    press(table, qtbot, *[Key.Key_N, Key.Key_A, Key.Key_Space, Key.Key_T, Key.Key_Return])
    assert said == []
    table.selectionModel().select(table.model().index(0, 0), QItemSelectionModel.SelectionFlag.Select)
    assert table.current_prompt is None
