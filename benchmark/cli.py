"""The command line: `htbench plan | run | tune | status | report | adopt | sync | ui | data | methods | inspect |
generate | predict | profile`.

Exit status: 0 all is well, 1 some cell has no result or some picture no label, 2 the input is wrong, 130 interrupted.
"""

import sys

import typer
from rich.console import Console

from benchmark.commands import catalogue, grids, mlflow, profile, trained, tune
from benchmark.errors import UserError

app = typer.Typer(
    help="Few-shot learners on identical test episodes: plan, run and report a YAML grid.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_COMMANDS = (
    grids.plan,
    grids.run,
    tune.tune,
    grids.status,
    grids.report,
    grids.adopt,
    mlflow.sync,
    mlflow.ui,
    catalogue.data,
    catalogue.methods,
    trained.inspect,
    trained.generate,
    trained.predict,
    profile.profile,
)
for _command in _COMMANDS:
    app.command()(_command)


def main() -> None:
    """Entry point of the `htbench` command."""
    from benchmark.machine.process import prepare_process

    prepare_process()
    try:
        app(args=expand_only(expand_paths(sys.argv[1:])), prog_name="htbench")
    except UserError as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", style="red", markup=False, highlight=False)
        sys.exit(2)


def expand_paths(arguments: list[str]) -> list[str]:
    """Replace `~` and variables where an argument, or an option's value, begins with one.

    Shells do so, but not after the `=` of `--runs=~/here`, and nobody does it for who starts htbench without a shell.
    """
    from benchmark.data.files.places import expanded_text

    found = []
    for argument in arguments:
        option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
        found.append(option + equals + expanded_text(value) if value[:1] in ("~", "$") else argument)
    return found


def expand_only(arguments: list[str]) -> list[str]:
    """Let one `--only` take several filters: `--only a=1 b=2` becomes `--only a=1 --only b=2`."""
    expanded: list[str] = []
    filtering = False
    for argument in arguments:
        if argument == "--only":
            filtering = True
            continue
        filtering = filtering and "=" in argument and not argument.startswith("-")
        expanded += ["--only", argument] if filtering else [argument]
    return expanded
