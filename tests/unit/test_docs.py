"""README and docs/ say what is: their links, their manifests, and the page of errors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tunesmith_api.protocol import VERDICTS, Reason
from tunesmith_api.validation import manifest_errors
from tunesmith_cli.manifest import documents

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted(
    [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", REPOSITORY / "examples/README.md", *(REPOSITORY / "docs").rglob("*.md")]
)
ERRORS = (REPOSITORY / "docs/guide/errors.md").read_text()
BASE = """
apiVersion: tunesmith.dev/v1alpha1
kind: TuningJob
metadata: {name: fragment}
spec:
  model: {uri: "hf://org/name"}
  dataset:
    train: {uri: "s3://data/train.csv"}
    evaluation: {uri: "s3://data/test.csv"}
  objective: {classification: {}}
  output: {uri: "s3://models/x"}
"""


def blocks(mark: str) -> list[Any]:
    """The code blocks of all pages that are opened with these words, each with where it stands."""
    fence = re.compile(rf"^```{mark}\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    return [
        pytest.param(found[1], id=f"{page.name}:{page.read_text().count(chr(10), 0, found.start()) + 1}")
        for page in PAGES
        for found in fence.finditer(page.read_text())
    ]


def prose(page: Path) -> str:
    """A page without its code."""
    return re.sub(r"^```.*?^```$|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(page: Path) -> list[str]:
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)) if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link} has no such heading"


@pytest.mark.parametrize("text", blocks("yaml manifest"))
def test_manifests_are_valid(text: str) -> None:
    for document in documents(text):
        assert not document.slips
        assert manifest_errors(document.data)[1] == []


@pytest.mark.parametrize("text", blocks("yaml fragment"))
def test_fragments_are_valid_parts_of_a_spec(text: str) -> None:
    manifest = yaml.safe_load(BASE)
    manifest["spec"] |= yaml.safe_load(text)
    assert manifest_errors(manifest)[1] == []


def test_the_readme_shows_the_manifest_of_the_demo() -> None:
    shown = re.search(r"^```yaml manifest\n(.*?)^```$", (REPOSITORY / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert shown
    assert yaml.safe_load(shown[1]) == yaml.safe_load((REPOSITORY / "examples/banking-intents.yaml").read_text())


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_exit_code_and_a_section(reason: Reason) -> None:
    verdict = VERDICTS[reason]
    row = rf"^\| \[{reason}\]\(#{reason.lower()}\) \| {verdict.exit_code} \| {verdict.after}\b.* \|$"
    assert re.search(row, ERRORS, re.MULTILINE)
    assert f"\n## {reason}\n" in ERRORS


def test_no_reason_is_made_up() -> None:
    listed = re.findall(r"^\| \[(\w+)\]\(#\w+\) \| \d+ \|", ERRORS, re.MULTILINE)
    assert sorted(listed) == sorted(Reason)
