"""Files as a machine leaves them that stops while it writes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from napari_biomedparse.io.label_store import LabelStore, StoreBlock
from napari_biomedparse.scale.tasks import target_key
from tests.faults.store import RECORD, records
from tests.faults.trial import Trial


def tear(trial: Trial) -> str:
    """Halve a file of an unfinished image; return what was done.

    It is a shard whose block is not recorded as done, a record that was not put in its place yet, or a record.
    """
    choices = [*_shards(trial), *_records(trial)]
    if not choices:
        return "nothing to tear"
    kinds = sorted({kind for kind, *_ in choices})
    kind = kinds[int(trial.rng.integers(len(kinds)))]
    few = [choice for choice in choices if choice[0] == kind]
    _, whole, torn = few[int(trial.rng.integers(len(few)))]
    content = whole.read_bytes()
    torn.parent.mkdir(parents=True, exist_ok=True)
    torn.write_bytes(content[: len(content) // 2])
    if kind == "record":
        trial.lose(torn)
    return f"torn {kind} {torn.relative_to(trial.store)}"


def _shards(trial: Trial) -> Iterator[tuple[str, Path, Path]]:
    """Yield for each shard that is not recorded as done: its kind, where it is whole, and where to put its half."""
    for name in trial.unfinished:
        group = f"{name}.ome.zarr"
        if not (trial.store / group).exists():
            continue
        known = {path.name for path in records(trial.store, name)}
        store = LabelStore.open(trial.store / group)
        for level in range(len(store.levels)):
            for block in store.blocks(level):
                whole = trial.undisturbed.store / group / _file(store, block)
                if target_key(block) + RECORD not in known and whole.exists():
                    yield "shard", whole, trial.store / group / _file(store, block)


def _records(trial: Trial) -> Iterator[tuple[str, Path, Path]]:
    for name in trial.unfinished:
        for record in records(trial.store, name):
            yield "record", record, record
            yield "unplaced record", record, record.with_name(f"{record.name}.partial")


def _file(store: LabelStore, block: StoreBlock) -> Path:
    array = store.levels[block.level]
    *_, tall, wide = array.shards or array.chunks
    shard = (*block.place, block.rows.start // tall, block.columns.start // wide)
    return Path(str(block.level), array.metadata.encode_chunk_key(shard))
