"""Bad input, generated from a table of kinds: grids, command lines, plugins, records."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.benchmark.grid.test_hostile import BODY, HEAD, bomb
from tests.campaigns import forked
from tests.campaigns.subject import CHANGES, Subject
from tests.campaigns.tally import Tally

Attempt = tuple[str, list[object]]
"""What it is, and the command line."""

VALUES: list[object] = [
    None,
    "x",
    "",
    -1,
    0,
    0.5,
    1e8,
    10**30,
    -1e300,
    "1e999",
    True,
    [],
    [1],
    {},
    {"a": 1},
    "../../x",
    "/etc/passwd",
    "nan",
    "\x1b[2J",
    "=1+1",
    "x" * 5000,
    "é",
    [[1]],
    {"a": {"b": []}},
]
PLACES: list[tuple[str, ...]] = [
    ("name",),
    ("dataset",),
    ("dataset", "name"),
    ("dataset", "train_classes"),
    ("dataset", "images_per_class"),
    ("dataset", "rotations"),
    ("dataset", "seed"),
    ("episodes",),
    ("episodes", "ways"),
    ("episodes", "shots"),
    ("episodes", "queries"),
    ("episodes", "unlabelled"),
    ("episodes", "tasks"),
    ("episodes", "scenario"),
    ("train",),
    ("train", "batch"),
    ("train", "steps"),
    ("train", "minutes"),
    ("train", "learning_rate"),
    ("train", "optimizer"),
    ("train", "clip"),
    ("train", "warmup_steps"),
    ("train", "shared_from"),
    ("train", "validate_every"),
    ("test",),
    ("test", "episodes"),
    ("test", "ensemble"),
    ("test", "seed"),
    ("model",),
    ("model", "channels"),
    ("model", "dropout"),
    ("model", "nothing"),
    ("grid",),
    ("grid", "method"),
    ("grid", "seed"),
    ("grid", "train.steps"),
    ("grid", "nothing"),
    ("plugins",),
    ("overrides",),
    ("exclude",),
    ("seed",),
    ("timeout_minutes",),
    ("tune",),
    ("tuned",),
    ("nothing",),
    ("<<",),
    ("x-any",),
]
NAMES = [
    "a/b",
    "../x",
    "..",
    ".",
    "a b",
    "x" * 300,
    "a|b",
    "<b>",
    "=cmd()",
    "a\nb",
    "é",
    "-x",
    "a\\b",
    "$HOME",
    "~",
    "\x1b[2J",
]


def good() -> dict[str, object]:
    """The grid that is spoilt."""
    sizes = {"train_classes": 20, "validation_classes": 10, "test_classes": 10, "images_per_class": 10}
    return {
        "name": "small",
        "dataset": {"name": "glyphs", **sizes},
        "episodes": {"ways": 3, "shots": 1, "queries": 4},
        "plugins": ["my_methods.py"],
        **copy.deepcopy(CHANGES),  # what follows changes it
    }


def attempts(folder: Path, chance: random.Random) -> Iterator[Attempt]:
    """Endless: kinds in turn, each with another example every time."""
    kinds = [_wrong_value, _mangled_text, _bad_name, _bad_plugin, _bad_arguments, _bad_record, _special_file, _bomb]
    weights = [6, 4, 1, 2, 3, 3, 1, 1]
    while True:
        [kind] = chance.choices(kinds, weights)
        yield kind(folder, chance)


def _write(folder: Path, content: object) -> Path:
    path = folder / "bad.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return path


def _command(folder: Path, path: Path, chance: random.Random) -> list[object]:
    return chance.choice([["plan", path, "--no-timing"], ["status", path], ["report", path], ["data", path]])


def _wrong_value(folder: Path, chance: random.Random) -> Attempt:
    content = good()
    place, value = chance.choice(PLACES), chance.choice(VALUES)
    inner = content
    for key in place[:-1]:
        inner = inner.setdefault(key, {})  # type: ignore[assignment]
    inner[place[-1]] = value
    return f"{'.'.join(place)}: {str(value)[:60]!r}", _command(folder, _write(folder, content), chance)


def _mangled_text(folder: Path, chance: random.Random) -> Attempt:
    text = yaml.safe_dump(good())
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text))
        text = (
            text[:at]
            + chance.choice(["", ":", "\t", "&a ", "*a", "!!int ", "[", "}", "\n", "- ", "\x00", '"', "<<: "])
            + text[at + chance.randint(0, 3) :]
        )
    return f"mangled: {text[:40]!r}", _command(folder, _write(folder, text), chance)


def _bad_name(folder: Path, chance: random.Random) -> Attempt:
    name = chance.choice(NAMES)
    if chance.random() < 0.5:
        return f"grid named {name[:20]!r}", _command(folder, _write(folder, {**good(), "name": name}), chance)
    (folder / "named.py").write_text(HEAD + BODY.replace('"mine"', repr(name)))
    content = {**good(), "plugins": ["named.py"], "grid": {"method": [name]}}
    return f"method named {name[:20]!r}", _command(folder, _write(folder, content), chance)


def _bad_plugin(folder: Path, chance: random.Random) -> Attempt:
    changes = [
        ("import sys\n", "import sys\nsys.exit(3)\n"),
        ("import torch\n", "import torch\nraise SystemExit\n"),
        ("super().__init__()", "raise KeyError('x')"),
        ("super().__init__()", "sys.exit(0)"),
        ("super().__init__()", "1/0"),
        ("(Method)", "(torch.nn.Module)"),
        ("(Method)", ""),
        ("    @dataclass(frozen=True)\n", ""),
        ("    class Config:", "    class Config"),
        ("channels: int = 8", "channels: Nothing = 8"),
        ("channels: int = 8", "channels: object = open"),
        ("channels: int = 8", "channels: int"),
        ("import torch\n", "import torch, no_such_thing\n"),
        ('"mine"', "5"),
        ('"mine"', '"protonet/x"'),
        ("Method, register", "Nothing"),
        ("def forward(self, episode):", "def forward(self):"),
        ("import sys\n", "\x00"),
    ]
    old, new = chance.choice(changes)
    (folder / "mine.py").write_text((HEAD + BODY).replace(old, new, 1))
    content = {**good(), "plugins": ["mine.py"], "grid": {"method": ["mine"]}, "model": {}}
    path = _write(folder, content)
    command: list[object] = chance.choice([["plan", path], ["run", path, "--no-track"], ["status", path]])
    return f"plugin with {new!r} for {old!r}", command


def _bad_arguments(folder: Path, chance: random.Random) -> Attempt:
    path = _write(folder, good())
    lines: list[list[object]] = [
        [
            "status",
            path,
            "--only",
            chance.choice(["x", "=", "seed=", "seed=99", "method=[", "nothing=1", "a=b=c", "seed=*a"]),
        ],
        ["report", chance.choice(["/nowhere", ".", "/dev/null", "..", "\x1b[2J", "x" * 5000])],
        ["adopt", chance.choice([".", "/nowhere", "/dev"])],
        ["report", "--all", "/nowhere"],
        ["run", path, "--device", chance.choice(["cuda:99", "tpu", ""])],
        ["run", path, "--workers", "-1"],
        ["plan", chance.choice(["/nowhere/grid.yaml", "/", "", "."])],
        ["inspect", chance.choice(["/nowhere", ".", "/dev/null"])],
        ["predict", ".", ".", "."],
        ["generate", ".", "."],
        ["run", path, "--runs", "/dev/null/x", "--no-track"],
        ["report", path, "--out", "/dev/null/x"],
        ["report", path, "--out", "/proc/x"],
        ["sync", path, "--mlflow", "nonsense://a:b@c"],
        ["report", "x", "--from-mlflow", "sqlite:////nowhere/x.db"],
        ["nothing"],
        ["status"],
        ["profile", chance.choice(["nothing", "../x"])],
    ]
    line = chance.choice(lines)
    return f"htbench {' '.join(map(str, line))[:80]!r}", line


def _bad_record(folder: Path, chance: random.Random) -> Attempt:
    """A report's folder from somebody else: one value of it is another, among them paths that lead out."""
    results = folder / "theirs"
    content = json.loads((results / "whole.json").read_text())
    cell = chance.choice(content["cells"])
    places: list[tuple[dict[str, object], str]] = [
        (content, "name"),
        (content, "format"),
        (content, "axes"),
        (content, "cells"),
        (cell, "folder"),
        (cell, "key"),
        (cell, "config"),
        (cell, "state"),
        (cell, "result"),
        (cell, "curve"),
        (cell, "diagnostics"),
        (cell["config"], "method"),
        (cell["config"], "model"),
        (cell["config"], "seed"),
        (cell["config"], "plugins"),
        (cell["result"], "test"),
        (cell["result"], "format"),
    ]
    holder, key = chance.choice(places)
    values = [*VALUES, "../../../outside/x", {"channels": "/../../../../outside/x"}, ["/etc/passwd"], "x/../../outside"]
    holder[key] = chance.choice(values)
    (results / "cells.json").write_text(json.dumps(content))
    command: list[object] = chance.choice([["adopt", results, "--runs", folder / "adopted"], ["report", results]])
    return f"record with {key}: {str(holder[key])[:60]!r}", command


def _special_file(folder: Path, chance: random.Random) -> Attempt:
    path = folder / "special.yaml"
    path.unlink(missing_ok=True)
    kind = chance.choice(["/dev/zero", "binary", "latin-1", "loop", "large", "empty", "dangling"])
    match kind:
        case "/dev/zero":
            return kind, ["status", "/dev/zero"]
        case "binary":
            path.write_bytes(chance.randbytes(5000))
        case "latin-1":
            path.write_bytes("name: é".encode("latin-1"))
        case "loop":
            path.symlink_to(path)
        case "dangling":
            path.symlink_to(folder / "nothing")
        case "large":
            path.write_bytes(b"# x\n" * 10**6)
        case _:
            path.write_bytes(b"")
    return f"a grid that is {kind}", ["status", path]


def _bomb(folder: Path, chance: random.Random) -> Attempt:
    axis = list(range(chance.choice([200, 10_000])))
    text = chance.choice(
        [
            bomb(chance.randint(8, 40), 9),
            bomb(chance.randint(8, 25), 9, "{{k: [{}]}}"),
            yaml.safe_dump({**good(), "grid": {"seed": axis, "test.seed": axis, "method": ["linear-mean"]}}),
            "a: " + "[" * chance.choice([100, 5000, 100_000]),
            "a: &a [*a]",
            yaml.safe_dump(good()) + "timeout_minutes: " + "9" * 5000,
        ]
    )
    return f"bomb {text[:30]!r}", _command(folder, _write(folder, text), chance)


def bad_inputs(subject: Subject, tally: Tally, number: int, chance: random.Random) -> None:
    """Each is refused in one line, or is harmless after all; nothing is written outside its folder."""
    sandbox = forked.fresh(subject.folder / "sandbox")
    inside = forked.fresh(sandbox / "a" / "b" / "inside")
    (inside / "my_methods.py").write_text((subject.folder / "my_methods.py").read_text())
    made = forked.cli(
        ["report", subject.grid, "--runs", subject.folder / "runs", "--out", inside / "theirs"],
        inside,
        subject.folder / "log",
    )
    assert made.status == 0, made.output
    (inside / "theirs" / "cells.json").rename(inside / "theirs" / "whole.json")
    source = attempts(inside, chance)
    before = _outside(sandbox, inside)
    for _ in range(number):
        what, command = next(source)
        ended = forked.cli(command, inside, subject.folder / "log", limit=180)
        if _outside(sandbox, inside) != before:
            tally.add("outside", f"{what}: {' '.join(map(str, command))[:100]}")
            before = _outside(sandbox, inside)
        elif "\x1b" in ended.output:
            tally.add("unclear", f"{what}: an escape code reached the terminal")
        else:
            tally.add(ended.outcome, f"{what}: htbench {command[0]}: status {ended.status}: {ended.output[-300:]}")


def _outside(sandbox: Path, inside: Path) -> set[Path]:
    return {path for path in sandbox.rglob("*") if inside not in path.parents}
