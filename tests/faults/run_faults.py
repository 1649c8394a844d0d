"""Disturb ``napari-biomedparse batch`` again and again, and see that the results stay the same.

``python tests/faults/run_faults.py [--faults N] [--seed S] [--only KIND]``; exit code 1 if anything is not as it was.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.faults.disk import NoDiskError  # noqa: E402
from tests.faults.images import make_images  # noqa: E402
from tests.faults.kinds import KINDS  # noqa: E402
from tests.faults.trial import BrokenError, Trial, Undisturbed  # noqa: E402

# Blocks of about 450 x 450 pixels.
ASKED = ("--prompt", "nuclei", "--instances", "--link", "--memory", "0.02")


def main(
    faults: Annotated[int, typer.Option(min=1, help="How many runs are disturbed.")] = 20,
    seed: Annotated[int, typer.Option(help="Of the moments and whatever else is drawn.")] = 0,
    only: Annotated[list[str] | None, typer.Option(help=f"Kinds, repeat for several: {', '.join(KINDS)}.")] = None,
    side: Annotated[int, typer.Option(min=300, help="Of the large image, in pixels.")] = 2500,
    folder: Annotated[Path | None, typer.Option(help="To work in, kept afterwards; must be new.")] = None,
) -> None:
    """Run undisturbed, then with faults at random moments, and compare."""
    unknown = sorted(set(only or ()) - set(KINDS))
    if unknown:
        raise typer.BadParameter(f"no such kind: {', '.join(unknown)}")
    if folder is not None:
        folder.mkdir(parents=True)
        passed = disturb(folder, list(only or KINDS), faults, seed, side)
    else:
        with tempfile.TemporaryDirectory() as own:
            passed = disturb(Path(own), list(only or KINDS), faults, seed, side)
    if not passed:
        raise typer.Exit(1)


def disturb(folder: Path, kinds: list[str], faults: int, seed: int, side: int) -> bool:
    """Run the faults, kind after kind and round after round, print a line for each; return whether all was well."""
    images = make_images(folder / "images", side, sections=3)
    undisturbed = Undisturbed(images, ASKED, folder / "undisturbed")
    try:
        undisturbed.run(folder / "undisturbed.txt")
    except BrokenError as error:
        typer.echo(f"Error: {error}", err=True)
        return False
    typer.echo(f"undisturbed    {undisturbed.blocks} blocks in {undisturbed.seconds:.1f} s")
    failed = 0
    for number in range(faults):
        rng = np.random.default_rng((seed, number))
        kind = kinds[number % len(kinds)]
        trial = Trial(undisturbed, folder / f"{number:03d}-{kind}", undisturbed.draw(rng), rng)
        try:
            KINDS[kind](trial)
        except NoDiskError as error:
            typer.echo(f"{kind:<14} skipped: {error}")
            continue
        typer.echo(told(kind, trial))
        failed += bool(trial.wrong)
    typer.echo(f"{failed} of {faults} not as the undisturbed run" if failed else "all equal to the undisturbed run")
    return not failed


def told(kind: str, trial: Trial) -> str:
    """Return a trial's line: kind, moment, blocks done, seconds to resume, whether all is equal, and what was seen."""
    moment = f"block {trial.moment.blocks} + {trial.moment.seconds:.2f} s"
    line = f"{kind:<14} {moment:<20} {trial.blocks:>3} done  resumed in {trial.resumed:>5.1f} s  "
    line += f"NOT AS IT WAS: {'; '.join(trial.wrong)}" if trial.wrong else "equal"
    return line + (f"  ({'; '.join(trial.notes)})" if trial.notes else "")


if __name__ == "__main__":
    typer.run(main)
