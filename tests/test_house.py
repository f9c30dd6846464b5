"""How the house is kept: the layout's promises, as tests."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from methods import registry
from tests.house import FLOORS, LOOSE, METHOD_FLOORS, imports, module_of, room_of

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "torchvision", "learn2learn", "mlflow", "matplotlib", "optuna", "pandas"}
EXPERIMENTS = sorted((ROOT / "experiments").rglob("*.yaml"))


BUILT_IN = registry.built_in_names()


def repository_files(pattern: str) -> list[Path]:
    """The files git knows or would add, among those that match."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no list of what belongs to the project")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", pattern]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def imported_packages(folder: str) -> set[str]:
    """Top-level names that the Python files of a folder import, anywhere in them."""
    names: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                names.add(node.module.split(".")[0])
    return names


def test_methods_depend_on_torch_only() -> None:
    third_party = imported_packages("methods") - sys.stdlib_module_names
    assert third_party <= {"methods", "torch", "learn2learn"}  # the last inside one function, for comparison only


@pytest.mark.parametrize("folder", ["benchmark", "methods"])
def test_every_import_is_declared(folder: str) -> None:
    """Each third-party import belongs to a distribution that pyproject.toml or requirements-nodeps.txt names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for name, lines in project["optional-dependencies"].items() if name != "test" for line in lines]
    declared = {canonicalize_name(Requirement(line).name) for line in project["dependencies"] + extras}
    distributions = importlib.metadata.packages_distributions()
    for name in imported_packages(folder) - sys.stdlib_module_names - {"benchmark", "methods", "learn2learn"}:
        assert declared.intersection(map(canonicalize_name, distributions.get(name, []))), name


@pytest.mark.parametrize(("folder", "floors"), [("benchmark", FLOORS), ("methods", METHOD_FLOORS)])
def test_imports_go_down_the_floors(folder: str, floors: tuple[str, ...]) -> None:
    """A room imports rooms below it only, so there is no circle; the package's face may name anything in it."""
    level = {room: floor for floor, room in enumerate(floors)}
    arrows = {(room_of(one), room_of(other), one, other) for one, other in imports(ROOT / folder) if one != folder}
    assert len(arrows) > 40
    upwards = [f"{one} imports {other}" for a, b, one, other in arrows if a != b and level[a] >= level[b]]
    assert not upwards


@pytest.mark.parametrize("folder", ["benchmark", "methods"])
def test_no_two_files_import_each_other(folder: str) -> None:
    """Not even through others, and not even inside functions: whoever opens one file needs only those below it."""
    order = TopologicalSorter[str]()
    for one, other in imports(ROOT / folder):
        order.add(one, other)
    order.prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize(("folder", "floors"), [("benchmark", FLOORS), ("methods", METHOD_FLOORS)])
def test_every_room_has_its_floor(folder: str, floors: tuple[str, ...]) -> None:
    rooms = {room_of(module_of(path, ROOT / folder)) for path in (ROOT / folder).rglob("*.py")} - {folder}
    assert rooms == set(floors)


def test_no_module_lies_loose_beside_the_rooms() -> None:
    """But those that the plan names."""
    assert {path.stem for path in (ROOT / "benchmark").glob("*.py")} - {"__init__"} == LOOSE


def test_no_two_grids_have_one_name() -> None:
    """They would write over each other's runs and results."""
    names = [yaml.safe_load(path.read_text())["name"] for path in EXPERIMENTS]
    assert len(names) > 10
    assert not [name for name, count in Counter(names).items() if count > 1]


def test_a_command_has_a_name_of_its_own() -> None:
    """No function of a command is called as its file is: `tune` in tuning.py, and not in tune.py."""
    for path in (ROOT / "benchmark").rglob("*.py"):
        functions = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
        assert path.parent.name != "commands" or path.stem not in functions, path


def test_the_command_line_starts_light() -> None:
    """`htbench --help` must not wait seconds for torch."""
    code = "import sys, benchmark.cli; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "benchmark" in loaded.split()
    assert not HEAVY.intersection(loaded.split())


def test_the_harness_knows_no_method_by_type() -> None:
    """It asks for what a method can do: `methods.capabilities`."""
    families = {f"methods.{family}" for family in registry.FAMILIES}
    assert {"methods.hypertransformer", "methods.protonet", "methods.oracle"} <= families
    for path in (ROOT / "benchmark").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                imported = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            assert not [name for name in imported if ".".join(name.split(".")[:2]) in families], path


def test_the_harness_knows_no_method_by_name() -> None:
    """No string holds a method's name as a word, but docstrings, help texts, and what a user may write: `method: maml`.

    Datasets are left out, as they name splits of classes after the papers that made them.
    """
    word = re.compile(rf"(?<![\w+-])({'|'.join(map(re.escape, BUILT_IN))})(?![\w+-])")
    example = re.compile(r"method[:=] ?(\[[^\]]*\]|[\w+-]+)")
    found = []
    for path in set((ROOT / "benchmark").rglob("*.py")) - set((ROOT / "benchmark" / "data").rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        helps = {id(node.value) for node in nodes if isinstance(node, ast.keyword) and node.arg == "help"}
        strings = [node for node in nodes if isinstance(node, ast.Constant) and id(node) not in docstrings | helps]
        texts = [node.value for node in strings if isinstance(node.value, str)]
        found += [f"{path.relative_to(ROOT)}: {text}" for text in texts if word.search(example.sub("", text))]
    assert not found


def test_no_file_is_too_long_to_hold_in_the_head() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in repository_files("*.py")}
    assert not {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > 400}


def test_relative_links_in_markdown_resolve() -> None:
    broken = []
    for page in repository_files("*.md"):
        text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
        targets = re.findall(r"\]\(\s*<?([^)\s>]+)", text) + re.findall(r"""\b(?:src|href)=["']([^"']+)""", text)
        for target in targets:
            path = target.split("#")[0]
            if path and ":" not in path and not (page.parent / path).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken


@pytest.mark.parametrize("path", EXPERIMENTS, ids=[str(path.relative_to(ROOT)) for path in EXPERIMENTS])
def test_every_experiment_reads(path: Path) -> None:
    from benchmark.grid import read_grid

    read_grid(path)


def test_no_path_of_one_machine() -> None:
    machine_path = re.compile(rb"(?<![\w.~})-])/(?:home|root|Users|work|farm|tmp/bash_jobs)/[\w.]")
    found = [str(p.relative_to(ROOT)) for p in repository_files("*") if machine_path.search(p.read_bytes())]
    assert not found
