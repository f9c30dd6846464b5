"""The files that say what to install agree with each other, and the commands the reader is told exist."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
REQUIREMENT_FILES = ("requirements.txt", "requirements-test.txt", "requirements-nodeps.txt")


def requirements(name: str) -> list[str]:
    """The requirement lines of a file, without comments and options."""
    lines = (line.split("#")[0].split(" --")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [line for line in lines if line]


def pins() -> dict[str, str]:
    """constraints.txt as name -> exact version."""
    pairs = [line.split("==") for line in requirements("constraints.txt")]
    return {canonicalize_name(name): version for name, version in pairs}


def run_make(*arguments: str) -> str:
    """What `make` would do in a fresh checkout, as text, doing nothing."""
    command = ["make", "--dry-run", "--always-make", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_requirements_are_the_dependencies_and_extras() -> None:
    dependencies = PROJECT["project"]["dependencies"]
    extras = ("report", "mlflow", "export", "tune", "learn2learn")
    runtime = dependencies + [line for extra in extras for line in EXTRAS[extra]]
    assert sorted(requirements("requirements.txt")) == sorted(runtime)
    assert sorted(requirements("requirements-test.txt")) == sorted(EXTRAS["test"])


def test_the_extra_all_names_every_other_extra() -> None:
    (everything,) = EXTRAS["all"]
    assert Requirement(everything).extras == EXTRAS.keys() - {"all"}


def test_constraints_hold_names_and_exact_versions_only() -> None:
    for line in requirements("constraints.txt"):
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line), line


@pytest.mark.parametrize("name", REQUIREMENT_FILES)
def test_every_requirement_is_pinned_to_a_version_it_allows(name: str) -> None:
    pinned = pins()
    for requirement in map(Requirement, requirements(name)):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


def test_conda_environment_is_the_same_stack() -> None:
    """Parsed and compared; nothing here solves it."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    packages = {str(entry).split("=")[0]: entry for entry in environment["dependencies"] if isinstance(entry, str)}
    python = packages["python"].split("=")[1]
    assert SpecifierSet(PROJECT["project"]["requires-python"]).contains(f"{python}.0")
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert pip == ["-c constraints.txt", "-r requirements.txt", "-r requirements-test.txt"]
    assert environment["name"] == PROJECT["project"]["name"]


def test_conda_and_make_install_learn2learn_alike() -> None:
    options = "install --no-deps --no-build-isolation --use-pep517 -r requirements-nodeps.txt"
    assert options in (ROOT / "environment.yml").read_text()
    assert options in run_make("setup")


def test_make_setup_installs_what_the_requirement_files_name() -> None:
    commands = run_make("setup")
    assert "install -c constraints.txt -r requirements.txt -r requirements-test.txt" in commands
    assert "install --no-deps --no-build-isolation -e ." in commands


def test_make_demo_runs_and_reports_a_grid_that_exists() -> None:
    commands = run_make("demo").splitlines()
    calls = [line.split()[1:3] for line in commands if line.startswith(".venv/bin/htbench ")]
    assert [verb for verb, _ in calls] == ["run", "report", "sync"]
    assert all((ROOT / grid).is_file() for _, grid in calls)


def test_make_refuses_an_old_python_in_one_line(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\nexec python3 -c "import sys; sys.version_info = (3, 9, 2); $2"\n')
    old.chmod(0o755)
    for name in (*REQUIREMENT_FILES, "constraints.txt", "pyproject.toml", "Makefile"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    done = subprocess.run(["make", "setup", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == (
        f"htbench needs Python 3.11 or newer, and {old} is 3.9.2; name another: make setup PYTHON=python3.12"
    )
    assert not (tmp_path / ".venv").exists()


def test_ci_runs_what_the_reader_is_told() -> None:
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in script if line.split(" ")[0] not in ("export", "set", "cd", "") and line[:1] != "#"]
    assert commands == [".ci/system-packages", "make lint", "make test"]
    assert "-m pytest" in run_make("test")
    lint = run_make("lint")
    assert all(tool in lint for tool in ("ruff check", "ruff format --check", "mypy"))


def test_every_data_file_is_packaged() -> None:
    """An installed htbench has its templates and published numbers, not only a checkout."""
    patterns: dict[str, list[str]] = PROJECT["tool"]["setuptools"]["package-data"]
    for package in ("benchmark", "methods"):
        packaged = {path for pattern in patterns.get(package, []) for path in (ROOT / package).glob(pattern)}
        data = {path for path in (ROOT / package).rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
        assert data <= packaged
