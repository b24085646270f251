"""The generated reference of the API."""

from pathlib import Path

from tunesmith_api.reference import reference

REPO = Path(__file__).parents[2]


def test_the_committed_reference_is_the_generated_one() -> None:
    written = (REPO / "docs" / "api.md").read_text(encoding="utf-8")
    assert written == reference(), "run: python -m tunesmith_api.reference docs/api.md"


def test_every_field_is_described() -> None:
    empty = [line for line in reference().splitlines() if line.startswith("| `") and line.endswith("|  |")]
    assert empty == []
