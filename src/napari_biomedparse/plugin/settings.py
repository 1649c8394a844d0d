"""What the dock remembers from one session to the next."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_biomedparse.engine.paint import Paint, Rule, Split
from napari_biomedparse.files.replacing import replacing
from napari_biomedparse.ontology.palette import PaletteKind
from napari_biomedparse.plugin.selecting import Scope
from napari_biomedparse.weights.folders import CONFIG, config_folder

logger = logging.getLogger(__name__)

# Counted up when a field's meaning changes.
VERSION = 1

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Settings(BaseModel):
    """Choices of the dock; each field has the meaning of the control or parameter of its name.

    Raises
    ------
    ValueError
        If a value is of the wrong type or out of its range.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    model: str = "mini"
    device: str = "auto"
    scope: Scope = "slice"
    threshold: Share = 0.5
    instances: bool = False
    split: Split = "learned"
    min_area: Annotated[int, Field(ge=0, le=1_000_000)] = Paint.min_area
    fill_holes: bool = True
    link: bool = True
    boxes: bool = False
    one_layer_each: bool = False
    palette: PaletteKind = "ontology"
    rule: Rule = "most probable"
    history: tuple[tuple[str, ...], ...] = ()


def settings_path() -> Path:
    """Return the file that settings are kept in."""
    return config_folder() / "dock.json"


def load() -> Settings:
    """Return what was kept; the default of each field that is missing, unknown here, or of no use.

    A file that is no table of settings is put aside as ``dock.json.bad``. Nothing is raised.
    """
    path = settings_path()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
    except UnicodeDecodeError:
        return _put_aside(path)
    except OSError as error:
        logger.warning("The settings in %s cannot be read (%s).", path, error)
        return Settings()
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return _put_aside(path)
    return _usable(values) if isinstance(values, dict) else _put_aside(path)


def save(settings: Settings) -> None:
    """Keep settings; the file is replaced only once the new one is complete. What fails is logged, not raised."""
    path = settings_path()
    content = {"version": VERSION, **settings.model_dump(mode="json")}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        logger.warning("The settings cannot be kept in %s (%s); set %s to another folder.", path, error, CONFIG)


def _usable(values: dict[str, Any]) -> Settings:
    """Return settings with the fields that are of use."""
    try:
        return _validate(values)
    except ValidationError as error:
        unusable = {problem["loc"][0] for problem in error.errors()}
        logger.warning("These settings are of no use and have their defaults: %s.", ", ".join(map(str, unusable)))
        return _validate({name: value for name, value in values.items() if name not in unusable})


def _validate(values: dict[str, Any]) -> Settings:
    # As JSON: its lists may be tuples, but a text is no number.
    return Settings.model_validate_json(json.dumps(values))


def _put_aside(path: Path) -> Settings:
    aside = path.with_name(f"{path.name}.bad")
    try:
        path.replace(aside)
        logger.warning("%s held no settings; it was moved to %s.", path, aside)
    except OSError as error:
        logger.warning("%s holds no settings and cannot be moved away (%s).", path, error)
    return Settings()
