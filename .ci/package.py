"""Build wheel and sdist into a folder, and check them: what is in them, how large, what the wheel brings along.

    pip install hatchling && python .ci/package.py FOLDER [--no-index]

The environment holds all that pyproject.toml names (of torch, pip may be told that it is there). The wheel is installed
into a fresh environment that sees those packages, its own skembed before theirs, and .ci/smoke.py runs there. Unless
--no-index says not to, an index is asked what would come along where there is nothing but torch.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_WHEEL = 1_000_000
NAME = re.compile(r"[A-Za-z0-9._-]+")


def run(*command: str | Path, cwd: Path = ROOT, **environment: str | Path) -> str:
    """Run a command, and give what it prints; what it says otherwise is shown."""
    variables = os.environ | {name: str(value) for name, value in environment.items()}
    command = tuple(str(part) for part in command)
    return subprocess.run(command, cwd=cwd, env=variables, check=True, stdout=subprocess.PIPE, text=True).stdout


def require(condition: bool, message: str) -> None:
    if not condition:
        raise SystemExit(message)


def normal(requirement: str) -> str:
    """The name of a requirement as indexes compare names."""
    match = NAME.match(requirement)
    assert match is not None
    return re.sub("[-_.]+", "-", match.group()).lower()


def build(folder: Path) -> tuple[Path, Path]:
    """Both distributions, built by the build backend of this environment."""
    before = set(folder.glob("skembed-*"))
    require(not before, f"{folder} holds {', '.join(path.name for path in before)}, expected an empty folder")
    run(sys.executable, "-m", "hatchling", "build", "-d", folder)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def files_of(part: str) -> set[str]:
    """The files of a part of the checkout, without what running it leaves there."""
    paths = (path.relative_to(ROOT) for path in (ROOT / part).rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if "__pycache__" not in path.parts}


def check_wheel(wheel: Path) -> None:
    """Small, all of the package and nothing else, and its metadata name what pyproject.toml names."""
    size = wheel.stat().st_size
    require(size < MAX_WHEEL, f"{wheel.name} has {size} bytes, expected less than {MAX_WHEEL}")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(metadata).decode().splitlines()
    differing = names ^ files_of("skembed")
    require(not differing, f"in the wheel or in skembed/, not in both: {', '.join(sorted(differing))}")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")]
    always = {normal(requirement) for requirement in needed if "extra ==" not in requirement}
    named = {normal(requirement) for requirement in project["dependencies"]}
    require(always == named, f"the wheel needs {sorted(always)}, pyproject.toml names {sorted(named)}")
    print(f"{wheel.name}: {size} bytes, {len(names)} files")


def check_sdist(sdist: Path, wheel: Path, folder: Path) -> None:
    """All tests are there, and the wheel that is built from it is the wheel built from the checkout."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        archive.extractall(folder, filter="data")
    for part in ("skembed", "tests"):
        missing = files_of(part) - names
        require(not missing, f"not in {sdist.name}: {', '.join(sorted(missing))}")
    run(
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        folder,
        cwd=folder / sdist.name[: -len(".tar.gz")],
    )
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(folder / wheel.name) as second:
        same = {name: first.read(name) for name in first.namelist()} == {n: second.read(n) for n in second.namelist()}
    require(same, f"a wheel built from {sdist.name} is not the wheel built from the checkout")
    print(f"{sdist.name}: {len(names)} files, builds the same wheel")


def pinned() -> dict[str, str]:
    """The versions of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {normal(line): line.partition("==")[2] for line in lines if "==" in line}


def stand_in(folder: Path) -> Path:
    """A folder for PYTHONPATH with what looks, to pip, like a torch that needs nothing."""
    about = folder / "torch" / f"torch-{pinned()['torch']}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {pinned()['torch']}\n")
    return about.parent


def brought(wheel: Path, python: Path, *options: str | Path, **environment: str | Path) -> set[str]:
    """The names of what pip would install along with a wheel beside what a Python has, its own among them."""
    pip = [sys.executable, "-m", "pip", "--python", python]
    report = run(*pip, "install", "--dry-run", "--quiet", "--report", "-", *options, wheel, **environment)
    return {normal(entry["metadata"]["name"]) for entry in json.loads(report)["install"]}


def check_brought(wheel: Path, python: Path, torch: Path, index: bool) -> None:
    """Beside all that is named, the wheel brings itself alone; beside a torch, what constraints.txt names."""
    here = {} if importlib.util.find_spec("torch") else {"PYTHONPATH": torch}
    names = brought(wheel, Path(sys.executable), "--no-index", **here)
    require(names <= {"skembed"}, f"installing {wheel.name} brings {sorted(names)}, expected skembed alone")
    if index:
        names = brought(wheel, python, "-c", ROOT / "constraints.txt", PYTHONPATH=torch)
        strange = names - (pinned().keys() - {"torch"}) - {"skembed"}
        require(
            not strange, f"beside a torch, {wheel.name} brings {sorted(strange)}, which constraints.txt does not name"
        )
        print(f"beside a torch it brings {', '.join(sorted(names))}")


def check_install(wheel: Path, python: Path, folder: Path) -> None:
    """It works, without the checkout."""
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", wheel)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "named.pth").write_text("\n".join(path for path in sys.path if Path(path).name == "site-packages"))
    print(run(python, ROOT / ".ci" / "smoke.py", site, cwd=folder), end="")


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    wheel, sdist = build(folder)
    check_wheel(wheel)
    with tempfile.TemporaryDirectory() as temporary:
        fresh = Path(temporary) / "fresh"
        venv.create(fresh, with_pip=False)
        python = fresh / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        check_sdist(sdist, wheel, Path(temporary))
        check_brought(wheel, python, stand_in(Path(temporary)), index="--no-index" not in sys.argv)
        check_install(wheel, python, Path(temporary))


if __name__ == "__main__":
    main()
