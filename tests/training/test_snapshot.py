"""The state of a run on a disk that is full."""

import pytest

from napari_biomedparse.model.checkpoint import CheckpointError
from napari_biomedparse.training.loop import train
from tests.files.limit import small_files
from tests.training.runs import small_run

FULL = r"checkpoint\.pt cannot be written \(the disk may be full\); make room and run this again"


def test_a_full_disk_is_said_and_what_was_saved_before_stays(discs, tiny_config, tmp_path):
    run = small_run(4, save_every=1)
    out = tmp_path / "run"

    def stop(progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train([discs], tiny_config, small_run(4, save_every=1, log_every=2), out, None, stop)
    saved = (out / "checkpoint.pt").read_bytes()
    left = out / ".checkpoint.pt.x1.partial"
    left.mkdir()
    (left / "checkpoint.pt").write_bytes(b"of a process that was killed")
    with small_files(len(saved) // 2), pytest.raises(CheckpointError, match=FULL):
        train([discs], tiny_config, run, out)
    assert (out / "checkpoint.pt").read_bytes() == saved
    assert not [path.name for path in out.iterdir() if "partial" in path.name]
    assert train([discs], tiny_config, run, out).is_file()
