"""Measurements as tables."""

from __future__ import annotations

from pathlib import Path

from napari_biomedparse.io.result import Export, need
from napari_biomedparse.io.write import write_table


def write_csv(path: Path, result: Export) -> None:
    """Write the rows as CSV in UTF-8; a cell about which nothing can be said is empty."""
    write_table(path, result.rows, result.table_columns)


def write_parquet(path: Path, result: Export) -> None:
    """Write the rows as Parquet; a cell about which nothing can be said is null.

    Raises
    ------
    ExportError
        If pyarrow is missing.
    """
    arrow = need("pyarrow", "Writing Parquet", "napari-biomedparse[export]")
    parquet = need("pyarrow.parquet", "Writing Parquet", "napari-biomedparse[export]")
    columns = {}
    for name in result.table_columns:
        column = arrow.array([row.get(name) for row in result.rows])
        if arrow.types.is_null(column.type):
            column = column.cast(arrow.string() if name in ("prompt", "object") else arrow.float64())
        columns[name] = column
    parquet.write_table(arrow.table(columns), path)
