"""What families declare of their learners, against the learners themselves."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import methods
from methods import registry
from methods.method import Method

ROOT = Path(methods.__file__).parent


@pytest.mark.parametrize("name", registry.built_in_names())
def test_what_is_declared_is_so(name: str) -> None:
    declared = registry.get(name)
    learner = declared.learner
    assert issubclass(learner, Method) and not inspect.isabstract(learner)
    assert declared.where == f"{learner.__module__}:{learner.__qualname__}"
    assert declared.config is learner.Config
    assert (declared.size_axis, declared.every_image) == (learner.size_axis, learner.every_image)
    options = inspect.signature(declared.config).parameters
    assert declared.fixed.keys() <= options.keys()
    assert declared.summary and "\n" not in declared.summary


def test_a_plugin_that_declares_nothing_has_the_default_width() -> None:
    assert Method.size_axis == registry.WIDTH


def test_every_face_with_learners_is_a_family() -> None:
    """And it only names: code there would be part of no fingerprint."""
    faces = {path.parent.name: ast.parse(path.read_text()) for path in ROOT.glob("*/__init__.py")}
    declaring = {
        family: [node for node in face.body[1:] if not isinstance(node, ast.ImportFrom)]
        for family, face in faces.items()
        if any(isinstance(node, ast.Assign) for node in face.body)
    }
    assert declaring.keys() == set(registry.FAMILIES)
    for family, (*others, learners) in declaring.items():
        assert not others, family
        assert isinstance(learners, ast.Assign) and ast.unparse(learners.targets[0]) == "LEARNERS"
        assert isinstance(learners.value, ast.Tuple)
        assert {ast.unparse(call.func) for call in learners.value.elts if isinstance(call, ast.Call)} == {"built_in"}


def test_no_name_is_declared_twice() -> None:
    faces = [importlib.import_module(f"methods.{family}") for family in registry.FAMILIES]
    assert sorted(learner.name for face in faces for learner in face.LEARNERS) == registry.built_in_names()


def test_the_package_gives_what_it_lists() -> None:
    """The names that need torch are imported when they are asked for, and not before."""
    code = (
        "import sys, methods; from methods import registry; registry.typical_names();"
        "assert 'torch' not in sys.modules;"
        "assert all(hasattr(methods, name) for name in methods.__all__);"
        "assert 'torch' in sys.modules and not hasattr(methods, 'Methods')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT.parent, check=True)
