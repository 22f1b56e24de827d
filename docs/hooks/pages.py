"""What the site adds to the Markdown of `docs/`: generated references, and pages from the top folder.

`<!-- generated: commands -->` and its like are replaced by text that is read from the code.
CONTRIBUTING.md, CHANGELOG.md and SECURITY.md become pages. Links that work on a repository's page
(`../CONTRIBUTING.md` in `docs/`, `docs/faq.md` in CONTRIBUTING.md) are rewritten for the site.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from api_page import api_reference  # noqa: E402 (in this folder)
from command_pages import command_reference  # noqa: E402
from recipe_page import recipe_reference  # noqa: E402

GENERATED = {"api": api_reference, "commands": command_reference, "recipe": recipe_reference}
TOP_FILES = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security-policy.md",
}
"""File of the top folder -> page of the site."""
ALONE = {"index.md", "quickstart.md", "gallery.md", "faq.md"}
"""Pages that are a section by themselves: their list of pages would hold one entry."""
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?://|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that come from the top folder."""
    for file, page in TOP_FILES.items():
        files.append(File.generated(config, page, content=(ROOT / file).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill in generated parts and rewrite links out of `docs/`. Raises KeyError for an unknown part."""
    if page.file.src_uri in ALONE:
        page.meta["hide"] = ["navigation"]
    markdown = re.sub(r"<!-- generated: (\w+) -->", lambda found: GENERATED[found[1]](), markdown)
    return site_links(markdown, page.file.src_uri)


def site_links(markdown: str, page: str) -> str:
    """Return `markdown` of the site's `page` with links to files of the repository as links of the site.

    A link to a file that is no page, such as source code, becomes plain text.
    """
    sources = {page: file for file, page in TOP_FILES.items()}
    here = posixpath.dirname(sources.get(page, f"docs/{page}"))

    def rewritten(found: re.Match[str]) -> str:
        text, target, anchor = found[1], found[2], found[3] or ""
        place = posixpath.normpath(posixpath.join(here, target))
        if place in TOP_FILES:
            place = f"docs/{TOP_FILES[place]}"
        if not place.startswith("docs/"):
            return text
        return f"[{text}]({posixpath.relpath(place, posixpath.dirname(f'docs/{page}'))}{anchor})"

    return LINK.sub(rewritten, markdown)
