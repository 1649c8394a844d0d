"""The faults, by name."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.disk import fill, small_disk
from tests.faults.processes import Cluster, kill_group, kill_one, workers_of
from tests.faults.store import differences, names_of
from tests.faults.tear import tear
from tests.faults.trial import Trial

DISK_MEGABYTES = 512
Strike = Callable[[subprocess.Popen[bytes]], None]


def worker(trial: Trial) -> None:
    """Kill one of the command's own workers; the command may go on by itself."""
    code = trial.disturb(lambda process: _kill_a_worker(trial, process))
    _go_on_or_resume(trial, code)


def client(trial: Trial) -> None:
    """Kill the command with all its workers."""
    trial.disturb(kill_group)
    trial.resume()


def client_alone(trial: Trial) -> None:
    """Kill only the command's first process; its workers find out by themselves, maybe during the next run."""
    children = []

    def strike(process: subprocess.Popen[bytes]) -> None:
        children.extend(workers_of(process))
        kill_one(process)

    trial.disturb(strike, all_ended=False)
    trial.resume()
    for child in children:
        if child.is_running():
            trial.wrong.append(f"worker {child.pid} outlived its command and the next")
            child.kill()


def torn(trial: Trial) -> None:
    """Kill the command with all its workers, and halve a file whose block is not recorded as done."""
    trial.disturb(kill_group)
    trial.notes.append(tear(trial))
    trial.resume()


def truncated(trial: Trial) -> None:
    """Cut an input off; the others are finished, and with the whole file so is this one."""
    images = trial.undisturbed.images
    image = images[int(trial.rng.integers(len(images)))]
    (name,) = names_of([image])
    others = [other for other in trial.undisturbed.names if other != name]
    part = image if image.is_file() else _a_chunk(trial, image)
    whole, written = part.read_bytes(), part.stat().st_mtime_ns
    length = int(len(whole) * trial.rng.uniform(0.1, 0.9))
    trial.notes.append(f"{part.name} of {image.name} cut to {length} of {len(whole)} bytes")
    part.write_bytes(whole[:length])
    try:
        code = trial.command.run(trial.said, trial.undisturbed.patience)
    finally:
        part.write_bytes(whole)
        # The results say which version of their image they were made of.
        os.utime(part, ns=(written, written))
    if code != 2:
        trial.wrong.append(f"ended with {code} though {image.name} was cut off")
    if not trial.heard(image.name.lower()):
        trial.wrong.append(f"{image.name} was not named")
    if (trial.store / f"{name}.parquet").exists():
        trial.wrong.append(f"{image.name} was taken for whole")
    trial.wrong += differences(trial.store, trial.undisturbed.store, others, alone=False)
    trial.resume()


def disk(trial: Trial) -> None:
    """Fill the disk up; the command says so and ends, and goes on when there is room."""
    with small_disk(trial.folder / "disk", DISK_MEGABYTES) as mounted:
        trial.store = mounted / "store"
        ballast = mounted / "ballast"

        def strike(process: subprocess.Popen[bytes]) -> None:
            until = time.monotonic() + trial.undisturbed.patience
            while process.poll() is None and time.monotonic() < until:
                fill(ballast)
                time.sleep(0.05)

        code = trial.disturb(strike)
        if code == 2:
            if not trial.heard("no space", "full", "no room"):
                trial.wrong.append("did not say that the disk is full")
        elif code != 0:
            trial.wrong.append(f"ended with {code} on a full disk")
        ballast.unlink(missing_ok=True)
        trial.resume()


def remote_worker(trial: Trial) -> None:
    """Kill a worker of a scheduler's; the command may go on by itself."""
    with _cluster(trial) as cluster:
        code = trial.disturb(lambda _: _kill_a_worker(trial, *cluster.workers))
        _go_on_or_resume(trial, code)


def remote_client(trial: Trial) -> None:
    """Kill the command and leave scheduler and workers at what they do."""
    with _cluster(trial):
        trial.disturb(kill_group)
        trial.resume()


def scheduler(trial: Trial) -> None:
    """Kill the scheduler; the command ends by itself, and goes on with a new one."""
    with _cluster(trial) as cluster:

        def strike(_: subprocess.Popen[bytes]) -> None:
            assert cluster.scheduler is not None
            kill_one(cluster.scheduler)

        code = trial.disturb(strike)
        trial.notes.append(f"the command ended with {code} after {trial.resumed:.0f} s")
        cluster.replace_workers()
        trial.resume()


def everything(trial: Trial) -> None:
    """Kill command, scheduler and workers at once."""
    with _cluster(trial) as cluster:

        def strike(process: subprocess.Popen[bytes]) -> None:
            cluster.kill()
            kill_group(process)

        trial.disturb(strike)
        cluster.start()
        trial.resume()


KINDS: dict[str, Callable[[Trial], None]] = {
    "worker": worker,
    "client": client,
    "client-alone": client_alone,
    "torn": torn,
    "truncated": truncated,
    "disk": disk,
    "remote-worker": remote_worker,
    "remote-client": remote_client,
    "scheduler": scheduler,
    "everything": everything,
}


def _cluster(trial: Trial) -> Cluster:
    cluster = Cluster(trial.folder / "cluster")
    trial.scheduler = cluster.address
    return cluster


def _kill_a_worker(trial: Trial, *parents: subprocess.Popen[bytes]) -> None:
    found = workers_of(*parents)
    if not found:
        trial.notes.append("there was no worker to kill")
        return
    kill_one(found[int(trial.rng.integers(len(found)))])


def _go_on_or_resume(trial: Trial, code: int | None) -> None:
    if code == 0:
        trial.notes.append("went on by itself")
        trial.compare()
    else:
        trial.notes.append(f"the command ended with {code}")
        trial.resume()


def _a_chunk(trial: Trial, image: Path) -> Path:
    chunks = sorted(path for path in image.rglob("*") if path.is_file() and path.name != "zarr.json")
    return chunks[int(trial.rng.integers(len(chunks)))]
