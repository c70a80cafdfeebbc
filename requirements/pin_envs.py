"""Write envs/starglot.yaml, the conda environment that rules name, with the versions of requirements/lock.txt.

Run by `make lock`.  It pins what jobs import, of the package's own dependencies and its extras; what those need in
turn is left to the installer.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

#: Extras of the package that jobs use.
EXTRAS = ("workflow", "baselines", "gpu")
ROOT = Path(__file__).resolve().parents[1]
HEADER = """\
# Made by `make lock` from pyproject.toml and requirements/lock.txt: change those.
# For `snakemake --sdm conda`; without it, jobs use the .venv that `make setup` made.
name: starglot
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - pip:
"""


def main() -> None:
    """Write the file."""
    locked = dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / "requirements/lock.txt").read_text(), re.M))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    torch = re.findall(r"^TORCH=(\S+)$", (ROOT / "requirements/setup.sh").read_text(), re.M)
    locked["torch"] = torch[0]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(text for extra in EXTRAS for text in extras[extra])]
    names = sorted(re.split(r"[=<>!~ ]", requirement)[0] for requirement in wanted)
    pins = [f"{name}=={locked[name]}" for name in names]
    text = HEADER + "".join(f"      - {pin}\n" for pin in pins)
    (ROOT / "envs" / "starglot.yaml").write_text(text)


if __name__ == "__main__":
    main()
