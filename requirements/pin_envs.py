"""Write what follows from the locks, run by `make lock`.

requirements/retention.txt becomes what lm-eval adds to requirements/lock.txt or needs in another version.
envs/starglot.yaml and envs/retention.yaml, the conda environments that rules name, pin what jobs import, of the
package's own dependencies and its extras; what those need in turn is left to the installer.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

#: Extras of the package that jobs use, by environment.
EXTRAS = {"starglot": ("workflow", "baselines", "gpu"), "retention": ("workflow", "baselines", "gpu", "retention")}
ROOT = Path(__file__).resolve().parents[1]
LOCK, FURTHER = (ROOT / f"requirements/{name}.txt" for name in ("lock", "retention"))
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.M)
HEADER = """\
# Made by `make lock` from pyproject.toml and requirements/lock.txt: change those.
# For `snakemake --sdm conda`; without it, jobs use the .venv that `make setup` made.
name: {name}
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def main() -> None:
    """Write the files."""
    known = set(_blocks(LOCK))
    FURTHER.write_text("".join(block for block in _blocks(FURTHER) if block not in known))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    torch = re.findall(r"^TORCH=(\S+)$", (ROOT / "requirements/setup.sh").read_text(), re.M)
    for environment, chosen in EXTRAS.items():
        locked = {**_pins(LOCK), **(_pins(FURTHER) if "retention" in chosen else {}), "torch": torch[0]}
        extras = project["optional-dependencies"]
        wanted = [*project["dependencies"], *(text for extra in chosen for text in extras[extra])]
        names = sorted(re.split(r"[=<>!~ ]", requirement)[0] for requirement in wanted)
        pins = [f"{name}=={locked[name]}" for name in names]
        text = HEADER.format(name=environment) + "".join(f"      - {pin}\n" for pin in pins)
        (ROOT / "envs" / f"{environment}.yaml").write_text(text)


def _blocks(lock: Path) -> list[str]:
    """A lock's requirements: what is installed where, with its hashes."""
    return re.split(r"^(?=\S)", lock.read_text(), flags=re.M)[1:]


def _pins(lock: Path) -> dict[str, str]:
    """Name -> version."""
    return dict(_PIN.findall(lock.read_text()))


if __name__ == "__main__":
    main()
