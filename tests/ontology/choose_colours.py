"""Choose colours anew for some objects: ``python -m tests.ontology.choose_colours ID...`` (all others stay).

Simulated annealing in CIELAB. What is shown together is drawn apart for normal and for deuteranopic eyes, siblings for
normal eyes; a family keeps within one range of hues.
"""

import json
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
from skimage.color import deltaE_ciede2000, lab2rgb, rgb2lab

from napari_biomedparse.ontology import all_objects
from tests.ontology.colours import as_deuteranope, co_displayed, hue, hue_family, siblings, to_rgb

TABLE = Path(__file__).parents[2] / "resources/ontology/objects.json"
STEPS = 60_000
# CIEDE2000 that is aimed at, for normal and for deuteranopic eyes.
SHOWN_TOGETHER, SIBLINGS = (18.0, 13.0), (7.0, 0.0)
# Half the range of a family's hues, in degrees.
HUES = 20.0


def choose(chosen: set[str], seed: int = 0) -> dict[str, str]:
    """Return a colour ``#rrggbb`` for each of the chosen objects."""
    rng = np.random.default_rng(seed)
    objects = {entry.id: entry for entry in all_objects()}
    aims: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in objects}
    for pair in siblings(all_objects()):
        for one, other in (sorted(pair), sorted(pair, reverse=True)):
            aims[one][other] = SIBLINGS
    for entries in co_displayed().values():
        for one, other in combinations({entry.id for entry in entries}, 2):
            aims[one][other] = aims[other][one] = SHOWN_TOGETHER
    families = {name: hue_family(entry) for name, entry in objects.items()}
    centres = {family: float(rng.uniform(0, 360)) for family in sorted(set(families.values()))}
    for name, entry in objects.items():
        if name not in chosen:
            centres[families[name]] = hue(entry.colour)

    def seen(rgb: np.ndarray) -> np.ndarray:
        return np.stack([rgb2lab(rgb), rgb2lab(as_deuteranope(rgb))])

    def draw(name: str) -> np.ndarray:
        while True:
            light, chroma = rng.uniform(40, 93), rng.uniform(28, 105)
            angle = np.radians(centres[families[name]] + rng.uniform(-HUES, HUES) * 0.9)
            lab = np.array([light, chroma * np.cos(angle), chroma * np.sin(angle)])
            rgb = np.round(lab2rgb(lab) * 255) / 255
            if np.abs(rgb2lab(rgb) - lab).max() < 2:
                return rgb

    def lack(name: str, labs: np.ndarray) -> float:
        others = list(aims[name])
        if not others:
            return 0.0
        apart = deltaE_ciede2000(labs[:, None], np.stack([views[other] for other in others], axis=1))
        missing = np.maximum(0, np.array([aims[name][other] for other in others]).T - apart)
        return float((missing**2).sum())

    rgbs = {name: draw(name) if name in chosen else to_rgb(entry.colour) for name, entry in objects.items()}
    views = {name: seen(rgb) for name, rgb in rgbs.items()}
    movable = {family: [n for n in objects if families[n] == family] for family in centres}
    free = [family for family, members in movable.items() if chosen.issuperset(members)]
    names = [name for name in objects if name in chosen and aims[name]]
    for step in range(STEPS):
        heat = 30 * (1 - step / STEPS) ** 3 + 1e-9
        if free and rng.random() < 0.02:
            family = free[rng.integers(len(free))]
            members, centre = movable[family], centres[family]
            before = {name: (rgbs[name], views[name]) for name in members}
            old = sum(lack(name, views[name]) for name in members)
            centres[family] = float(rng.uniform(0, 360))
            for name in members:
                rgbs[name] = min((draw(name) for _ in range(4)), key=lambda rgb: lack(name, seen(rgb)))
                views[name] = seen(rgbs[name])
            new = sum(lack(name, views[name]) for name in members)
            if new > old and rng.random() > np.exp((old - new) / heat):
                centres[family] = centre
                for name, (rgb, labs) in before.items():
                    rgbs[name], views[name] = rgb, labs
        elif names:
            name = names[rng.integers(len(names))]
            rgb = draw(name)
            labs = seen(rgb)
            old, new = lack(name, views[name]), lack(name, labs)
            if new <= old or rng.random() < np.exp((old - new) / heat):
                rgbs[name], views[name] = rgb, labs
    return {name: "#" + "".join(f"{round(value * 255):02x}" for value in rgbs[name]) for name in sorted(chosen)}


def main() -> None:
    """Write the chosen colours into the table, changing nothing else."""
    chosen = set(sys.argv[1:])
    unknown = chosen - {entry.id for entry in all_objects()}
    if not chosen or unknown:
        sys.exit(
            f"Name the objects to choose colours for by their identifiers; unknown: {', '.join(unknown) or 'none'}."
        )
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    for name, colour in choose(chosen).items():
        place = next(n for n, line in enumerate(lines) if line.startswith(f'  {{"id": {json.dumps(name)},'))
        before, key, rest = lines[place].partition('"colour": "')
        lines[place] = before + key + colour + rest[7:]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
