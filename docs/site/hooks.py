"""What mkdocs calls while it builds the site: adds the pages and parts made from the code and from results/."""

import os
from typing import TYPE_CHECKING

from docs.site import reference, repository

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

PARTS = {
    "<!-- grid keys -->": reference.grid_keys,
    "<!-- methods -->": reference.methods,
    "<!-- datasets -->": reference.datasets,
    "<!-- coverage -->": reference.coverage,
}
"""What a page has in the place of a part that is made."""

FINDINGS = "results/README.md"
STARTS = [FINDINGS, "results/coverage/README.md", "benchmark/data/README.md", "results/omniglot-table1/lead.svg"]


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add what is kept elsewhere in the repository."""
    from mkdocs.structure.files import File

    for name in repository.reached([*STARTS, *reports()]):
        files.append(File.generated(config, name, abs_src_path=os.fspath(repository.ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: "Page", config: "MkDocsConfig", files: "Files") -> str:
    """Put the made parts where they belong."""
    for sign, make in PARTS.items():
        if sign in markdown:
            markdown = markdown.replace(sign, make())
    name = page.file.src_uri
    # The site has the repository's files beside the pages of docs/.
    from_repository = page.file.generated_by is not None
    markdown = repository.without_folders(name, markdown) if from_repository else markdown.replace("](../", "](")
    if name == FINDINGS:
        links = "\n".join(f"- [{path.split('/')[1]}]({path.removeprefix('results/')})" for path in reports())
        markdown += f"\n\n## Reports\n\nAs `htbench report` wrote them, with every figure and table:\n\n{links}\n"
    return markdown


def reports() -> list[str]:
    """The pages that `htbench report` wrote, as paths in the repository."""
    found = (repository.ROOT / "results").glob("*/report.html")
    return sorted(path.relative_to(repository.ROOT).as_posix() for path in found)
