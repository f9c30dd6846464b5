from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.errors import UserError
from benchmark.grid.source import Problems, load, parse_value


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "grid.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-2.5E+1", -25),
        ("10:30", "10:30"),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("true", True),
        ("False", False),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-7", -7),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        (".nan", ".nan"),
        ("-.inf", "-.inf"),
        ("ht-all", "ht-all"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ("1e", "1e"),
        (".", "."),
    ],
)
def test_scalars_follow_yaml_1_2(tmp_path: Path, text: str, value: Any) -> None:
    data, _ = load(write(tmp_path, f"key: {text}\n"))
    assert data == {"key": value}
    assert type(data["key"]) is type(value)
    assert parse_value(text) == value


def test_whole_numbers_are_int_however_they_are_written() -> None:
    assert [type(parse_value(text)) for text in ("2e4", "20000", "20000.0", "0.5")] == [int, int, int, float]


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_python_prints_is_read_back(number: float) -> None:
    assert parse_value(repr(number)) == number


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text("abc :#-'", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(st.dictionaries(st.text("xyz", min_size=1, max_size=4), json_like, min_size=1, max_size=4), st.booleans())
def test_flow_and_block_style_read_the_same(tmp_path_factory: pytest.TempPathFactory, data: Any, flow: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "style.yaml"
    path.write_text(yaml.safe_dump(data, default_flow_style=flow))
    assert load(path)[0] == data


def test_every_key_and_item_has_its_line(tmp_path: Path) -> None:
    text = "a: 1\n\nb:\n  c: 2\n  d:\n    - 3\n    - {e: 4}\nf: [5,\n    6]\n"
    _, source = load(write(tmp_path, text))
    expected = {("a",): 1, ("b",): 3, ("b", "c"): 4, ("b", "d"): 5, ("b", "d", 0): 6, ("b", "d", 1): 7}
    expected |= {("b", "d", 1, "e"): 7, ("f",): 8, ("f", 0): 8, ("f", 1): 9}
    assert source.lines == expected
    assert source.line(("b", "c", "deeper")) == 4
    assert source.line(("nowhere",)) == 1
    assert source.text == text


def test_anchors_can_be_used_again(tmp_path: Path) -> None:
    data, _ = load(write(tmp_path, "a: &x {b: 1}\nc: *x\n"))
    assert data == {"a": {"b": 1}, "c": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "empty"),
        ("# only a comment\n", 1, "empty"),
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "not valid YAML"),
        ("a:\n\tb: 1\n", 2, "spaces, not tabs"),
        ("a: 1\nb: 2\na: 3\n", 3, "'a' is given twice, first on line 1"),
        ("s:\n  a: 1\n  'a': 3\n", 3, "'a' is given twice, first on line 2"),
        ("a: 1\n5: 2\n", 2, "a key should be text, found '5'"),
        ("a: 1\n? [1]\n: 2\n", 2, "a key should be text"),
        ("a: 1\n---\nb: 2\n", 2, "single document"),
        ("a: 1\nb: !!python/name:os.system x\n", 2, "could not determine a constructor"),
        ("a: 1\nb: !!binary aGk=\n", 2, "could not determine a constructor"),
        ("- a\n", 1, "found a list"),
        ("word\n", 1, "found 'word' (text)"),
        ("a: 1\nb: \x07\n", 2, "cannot be printed"),
        (b"a: 1\nb: \xff\n", 2, "UTF-8"),
    ],
)
def test_a_bad_file_is_told_with_its_line(tmp_path: Path, text: str | bytes, line: int, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as error:
        load(path)
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_all_repeated_keys_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load(write(tmp_path, "a: 1\na: 2\nb: {c: 1, c: 2}\n"))
    assert [line.split(":")[1] for line in str(error.value).splitlines()] == ["2", "3"]


@pytest.mark.parametrize("text", ["a: &x [*x]\n", "a: " + "[" * 5000 + "]" * 5000, "a: !!int x\n"])
def test_strange_files_are_errors_too(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError):
        load(write(tmp_path, text))


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path)


def test_consequences_are_told_only_when_nothing_else_is_wrong(tmp_path: Path) -> None:
    _, source = load(write(tmp_path, "a: 1\nb: 2\n"))
    problems = Problems(source)
    problems.raise_any()
    problems.add(("a",), "perhaps", consequence=True)
    with pytest.raises(UserError, match="yaml:1: perhaps"):
        problems.raise_any()
    problems.add(("b",), "surely")
    with pytest.raises(UserError) as error:
        problems.raise_any()
    assert str(error.value).endswith("yaml:2: surely")
    assert "perhaps" not in str(error.value)
