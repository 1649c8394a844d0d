"""One file that holds a whole run: read strictly, written resolved, so that it can be fed back."""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml  # type: ignore[import-untyped]

from napari_biomedparse.model.config import ModelConfig, preset
from napari_biomedparse.training.config import ConfigError, TrainConfig

T = TypeVar("T")


@dataclass(frozen=True)
class RunConfig:
    """A whole run.

    Parameters
    ----------
    data
        Folders in the BiomedParseData layout.
    model
        A preset's name, or a network's sizes. By default the network of ``init``, or else ``"mini"``.
    init
        Weights to start from: a model's name or a file.
    out
        Folder for log, checkpoint and weights.
    train
        Everything else.
    """

    data: tuple[str, ...] = ()
    model: str | ModelConfig | None = None
    init: str | None = None
    out: str | None = None
    train: TrainConfig = field(default_factory=TrainConfig)

    def network(self) -> ModelConfig | None:
        """Return the network's configuration; None for that of the weights to start from.

        Raises
        ------
        SettingError
            If there is no such preset.
        """
        if self.model is None:
            return None if self.init else preset("mini")
        return preset(self.model) if isinstance(self.model, str) else self.model

    def write(self, path: Path) -> None:
        """Write the run as JSON, which :func:`run_of` reads back."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1), encoding="utf-8")


def check_place(out: Path) -> None:
    """Refuse a folder with weights that no run in it can have written.

    Raises
    ------
    ConfigError
        If there are weights without a checkpoint.
    """
    weights = out / "model.safetensors"
    if weights.exists() and not (out / "checkpoint.pt").exists():
        raise ConfigError(
            f"{weights} would be replaced, and has no checkpoint to go on from: train into another folder."
        )


def check_same_run(path: Path, described: RunConfig) -> None:
    """Refuse to go on with a run on other data, from other weights or with another seed.

    Folders may have been moved since: their names count.

    Raises
    ------
    ConfigError
        If the run that is described in a file is another one.
    """
    if not path.is_file():
        return
    before = run_of(read_settings(path))
    for name, then, now in (
        ("data", [Path(folder).name for folder in before.data], [Path(folder).name for folder in described.data]),
        ("init", before.init and Path(before.init).name, described.init and Path(described.init).name),
        ("seed", before.train.seed, described.train.seed),
    ):
        if now is not None and then != now:
            raise ConfigError(
                f"The run in {path.parent} has {name} {then}, not {now}: it can only be gone on with as it began; "
                "train into another folder."
            )


def read_settings(path: Path) -> dict[str, Any]:
    """Read a YAML or JSON file of settings.

    A file with nothing but a network's sizes is one whose ``model`` they are.

    Raises
    ------
    ConfigError
        If there is no such file, or it is not a table of settings.
    """
    try:
        text = path.read_text(encoding="utf-8")
        # JSON by its own rules: YAML takes 1e-05, as JSON writes it, for a word.
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"The configuration {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path} is neither readable YAML nor JSON: {' '.join(str(error).split())}.") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold settings by name, such as 'data', 'model' and 'train'.")
    return {"model": values} if {"input_size", "dim"} <= values.keys() else values


def merge(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with some of them replaced, tables entry by entry."""
    merged = dict(settings)
    for name, value in changes.items():
        earlier = merged.get(name)
        merged[name] = merge(earlier, value) if isinstance(value, Mapping) and isinstance(earlier, Mapping) else value
    return merged


def run_of(settings: Mapping[str, Any]) -> RunConfig:
    """Build a run of settings by name.

    Raises
    ------
    ConfigError
        If a setting is unknown, of the wrong type or out of its range.
    """
    return _build(RunConfig, settings, "")


def _build(kind: type[T], values: object, place: str) -> T:
    """Build a dataclass of a table with its fields' names."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{place} must be a table of settings, not {values!r}.")
    hints = get_type_hints(kind)
    for name in values:
        if name not in hints:
            raise ConfigError(f"There is no setting {_at(place, str(name))!r}; {_hint(str(name), place)}")
    given = {name: _read(hints[name], value, _at(place, name)) for name, value in values.items()}
    try:
        return kind(**given)
    except TypeError as error:
        missing = str(error).partition("missing ")[2] or str(error)
        raise ConfigError(f"{place} is not complete: missing {missing}.") from error
    except ValueError as error:
        raise ConfigError(f"{place}: {error}" if place else str(error)) from error


def _hint(name: str, place: str) -> str:
    """Return what to write instead of a name that is no setting of a table."""
    tables = dict(_tables(RunConfig, ""))
    elsewhere = [table for table, names in tables.items() if name in names]
    if elsewhere:
        return f"it belongs under {' or '.join(map(repr, elsewhere))}." if elsewhere[0] else "it belongs at the top."
    meant = get_close_matches(name, tables[place], n=1)
    return f"did you mean {meant[0]!r}?" if meant else f"there are {', '.join(tables[place])}."


def _tables(kind: type[Any], place: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each table of a file of settings, the outermost called ``""``, and the names in it."""
    hints = get_type_hints(kind)
    yield place, tuple(hints)
    for name, hint in hints.items():
        for choice in (hint, *get_args(hint)):
            if isinstance(choice, type) and dataclasses.is_dataclass(choice):
                yield from _tables(choice, _at(place, name))


def _at(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _read(hint: Any, value: object, place: str) -> Any:
    """Return a value as the type that a field is declared with."""
    if get_origin(hint) in (Union, types.UnionType):
        choices = get_args(hint)
        if value is None and type(None) in choices:
            return None
        # At most one of a field's types is a table.
        tables = [choice for choice in choices if dataclasses.is_dataclass(choice)]
        plain = [choice for choice in choices if choice is not type(None) and choice not in tables]
        return _read(tables[0] if tables and isinstance(value, Mapping) else plain[0], value, place)
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        return _build(hint, value, place)
    if get_origin(hint) is tuple:
        return _read_list(get_args(hint), value, place)
    if get_origin(hint) is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{place} must be a table of numbers by name, not {value!r}.")
        return {str(name): _read(get_args(hint)[1], item, _at(place, str(name))) for name, item in value.items()}
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ConfigError(f"{place} must be {' or '.join(map(repr, get_args(hint)))}, not {value!r}.")
        return value
    if hint is float:
        return _read_float(value, place)
    words = {int: "a whole number", bool: "true or false", str: "text"}
    # To Python, true is a number too.
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigError(f"{place} must be {words[hint]}, not {value!r}.")
    return value


def _read_list(kinds: tuple[Any, ...], value: object, place: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{place} must be a list, not {value!r}.")
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    if len(kinds) != len(value):
        raise ConfigError(f"{place} must be a list of {len(kinds)} values, not {list(value)}.")
    return tuple(_read(kind, item, f"{place}[{n}]") for n, (kind, item) in enumerate(zip(kinds, value, strict=True)))


def _read_float(value: object, place: str) -> float:
    """Return a number; YAML takes 1e-4 for a word, which no writer of it means."""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            pass
    raise ConfigError(f"{place} must be a number, not {value!r}.")
