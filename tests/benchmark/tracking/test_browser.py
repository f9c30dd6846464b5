"""MLflow's interface as `htbench ui` opens it, in a real browser."""

import re
import shutil
from pathlib import Path

import pytest

from benchmark.cells.folder import ExperimentFolder
from benchmark.grid import Grid
from benchmark.tracking import sync
from tests.benchmark.tracking.mirrored import cells_of, run_of, score, train
from tests.benchmark.tracking.servers import ui_server

pytest.importorskip("mlflow", reason="pip install 'htbench[mlflow]'")

# MLflow itself uses what SQLAlchemy is about to remove.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*")

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
PATIENCE = 120_000  # milliseconds: the interface loads hundreds of files, and CI's machine may be busy


def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium is installed (on Debian: apt install chromium)")
    return found


def test_compare_in_the_interface(uri: str, grid: Grid, experiment: ExperimentFolder, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install -r requirements-test.txt")
    browser_path = chromium()
    cells = cells_of(grid, experiment)
    for cell in cells:
        train(cell, range(1, 6))
        score(cell, steps=5)
    sync(experiment, grid, uri)
    found = [run_of(uri, cell) for cell in cells]
    accuracies = {str(run.info.run_name): run.data.metrics["test/accuracy"] for run in found}
    best = [name for name, accuracy in accuracies.items() if accuracy == max(accuracies.values())]

    with ui_server(uri, tmp_path) as (_, server):
        assert server.stdout is not None
        opened = [server.stdout.readline().split(": ", 1) for _ in range(3)]
        pages = {what: page.strip() for what, page in opened}
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
            page = browser.new_page(viewport={"width": 1900, "height": 1000})
            page.set_default_timeout(PATIENCE)

            # The cells, the best first, with what varies and what came of it, and nothing but cells.
            page.goto(pages["cells"], wait_until="commit")
            page.get_by_text("4 matching runs").wait_for()
            page.get_by_text("test/accuracy", exact=True).first.wait_for()
            headers = [header.inner_text() for header in page.locator(".ag-header-cell").all()]
            assert {"test/accuracy", "test/accuracy_ci_low", "test/accuracy_ci_high"} <= set(headers)
            assert not {"train/loss", "mlflow.htbench.last_steps"} & set(headers)
            first = page.locator(".ag-row[row-index='0'] a")  # rows lie in the document in any order
            first.filter(has_text=re.compile("|".join(best))).wait_for()

            # Two of them side by side.
            boxes = page.locator(".ag-row .ag-selection-checkbox input")
            boxes.nth(0).check()
            boxes.nth(1).check()
            page.get_by_role("button", name="Compare", exact=True).click()
            page.wait_for_url("**/compare-runs**")
            page.get_by_text("Parallel Coordinates Plot").wait_for()
            page.locator(".js-plotly-plot").first.wait_for()
            compared = page.locator("body").inner_text()
            assert "model.channels" in compared
            assert "test/accuracy" in compared

            # The charts of the saved view, and the means over seeds.
            page.goto("about:blank")
            page.goto(pages["charts"], wait_until="commit")
            page.get_by_text("Parallel Coordinates").first.wait_for()
            page.locator("svg text", has_text="model.channels").first.wait_for()
            page.goto("about:blank")
            page.goto(pages["means over seeds"], wait_until="commit")
            page.get_by_text("2 matching runs").wait_for()
            browser.close()
