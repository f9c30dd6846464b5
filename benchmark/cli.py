"""The command line: `htbench plan | run | tune | status | report | adopt | sync | ui | data | methods | cite |
evaluate | inspect | generate | predict | profile`.

Exit status: 0 all is well, 1 some cell has no result or some picture no label, 2 the input is wrong, 130 interrupted.
"""

import importlib.metadata
import io
import sys
from typing import Annotated, NoReturn

import typer

from benchmark.commands import catalogue, evaluation, grids, mlflow, profiling, trained, tuning
from benchmark.errors import UserError
from benchmark.machine.terminal import Terminal


def print_version(wanted: bool) -> None:
    """Print the version and leave, if `--version` was given."""
    if wanted:
        print(f"htbench {importlib.metadata.version('htbench')}")
        raise typer.Exit


app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def htbench(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=print_version)
    ] = False,
) -> None:
    """Few-shot learners on identical test episodes: plan, run and report a YAML grid.

    Plugins that a grid names, and models that MLflow serves, run code of their own. Nothing else that is read does:
    grids, records, results, checkpoints, datasets and pictures are data only.
    """


_COMMANDS = (
    grids.plan,
    grids.run,
    tuning.tune,
    grids.status,
    grids.report,
    grids.adopt,
    mlflow.sync,
    mlflow.ui,
    catalogue.data,
    catalogue.methods,
    catalogue.cite,
    evaluation.evaluate,
    trained.inspect,
    trained.generate,
    trained.predict,
    profiling.profile,
)
for _command in _COMMANDS:
    app.command()(_command)


def main() -> None:
    """Entry point of the `htbench` command."""
    from benchmark.machine.process import prepare_process

    prepare_process()
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):  # a terminal that is not UTF-8 never ends a command
            output.reconfigure(errors="backslashreplace")
    try:
        app(args=expand_only(expand_paths(sys.argv[1:])), prog_name="htbench")
    except UserError as error:
        refuse(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        refuse(f"{error.strerror}: {error.filename}")


def refuse(problem: str) -> NoReturn:
    """Say what is wrong and leave with exit status 2."""
    Terminal(stderr=True, soft_wrap=True).print(f"error: {problem}", style="red", markup=False, highlight=False)
    sys.exit(2)


def expand_paths(arguments: list[str]) -> list[str]:
    """Replace `~` and variables where an argument, or an option's value, begins with one.

    Shells do so, but not after the `=` of `--runs=~/here`, and nobody does it for who starts htbench without a shell.
    """
    found = []
    for argument in arguments:
        option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
        if value[:1] in ("~", "$"):
            from benchmark.data.files.places import expanded_text

            found.append(option + equals + expanded_text(value))
        else:
            found.append(argument)
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


if __name__ == "__main__":
    main()
