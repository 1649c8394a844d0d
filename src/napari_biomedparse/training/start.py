"""What a run starts from: random values, or a trained network, also one that lacks a part of the new one."""

from __future__ import annotations

from pathlib import Path

from napari_biomedparse.errors import SettingError
from napari_biomedparse.model.biomedparse import BiomedParse
from napari_biomedparse.model.checkpoint import CheckpointError, read_checkpoint
from napari_biomedparse.model.config import ModelConfig


def start_from(init: Path | None, config: ModelConfig | None) -> tuple[BiomedParse, list[str]]:
    """Build the network to train.

    Parameters
    ----------
    init
        Weights to start from, this project's or the published checkpoint, or None for random values.
    config
        The network; None for that of ``init``.

    Returns
    -------
    tuple
        The network, and the names of its tensors that ``init`` has no values for.

    Raises
    ------
    CheckpointError
        If ``init`` cannot be read, has tensors that the network lacks, or of another shape.
    SettingError
        If neither is given.
    """
    if init is None:
        if config is None:
            raise SettingError("Give a configuration, or weights to start from.")
        return BiomedParse(config), []
    known = read_checkpoint(init)
    model = BiomedParse(config or known.config)
    wanted = model.state_dict()
    problems = [
        f"{name} has shape {tuple(tensor.shape)}, not {tuple(wanted[name].shape)}"
        if name in wanted
        else f"{name} is not part of the model"
        for name, tensor in known.tensors.items()
        if name not in wanted or wanted[name].shape != tensor.shape
    ]
    if problems:
        raise CheckpointError(f"{init} does not fit the configuration: {'; '.join(problems[:10])}.", problems)
    model.load_state_dict({name: tensor.float() for name, tensor in known.tensors.items()}, strict=False)
    return model, sorted(wanted.keys() - known.tensors.keys())
