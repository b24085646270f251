"""The model card: front matter that hubs read, and text from data that stays text."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from tunesmith_trainer.artifacts.card import CardFacts, model_card

FACTS = CardFacts(
    name="banking-intents",
    objective="classification",
    method="lora",
    base_uri="hf://sentence-transformers/all-MiniLM-L6-v2@main",
    base_digest="sha256:base",
    licence="apache-2.0",
    languages=("en",),
    library="peft",
    parameters=22_700_000,
    trainable_parameters=700_000,
    data={"s3://data/train.csv": "sha256:train"},
    data_digest="sha256:data",
    labels=("card lost", "<script>alert(1)</script>"),
    metrics={"accuracy": 0.9312},
    base_metrics={"accuracy": 0.013},
    headline="accuracy 0.931 (baseline 0.013)",
    digest="sha256:spec",
    version="0.1.0",
    hyperparameters={"epochs": 4},
    slices={"channel = a|b": {"accuracy": 0.5}},
)


def front_matter(card: str) -> dict[str, object]:
    _, matter, _ = card.split("---\n", 2)
    loaded: dict[str, object] = yaml.safe_load(matter)
    return loaded


def test_hubs_read_the_front_matter() -> None:
    assert front_matter(model_card(FACTS)) == {
        "license": "apache-2.0",
        "base_model": "sentence-transformers/all-MiniLM-L6-v2",
        "library_name": "peft",
        "pipeline_tag": "text-classification",
        "tags": ["tunesmith", "classification", "lora"],
        "language": ["en"],
    }


def test_the_card_says_what_a_stranger_needs() -> None:
    card = model_card(FACTS)
    for said in (
        "## Intended use",
        "To be filled in",
        "| accuracy | 0.9312 | 0.013 |",
        "| s3://data/train.csv | sha256:train |",
        "700,000 of 22,700,000 parameters",
        "sha256:base",
        "sha256:spec",
        "| epochs | 4 |",
        r"| channel = a\|b | 0.5 |",
    ):
        assert said in card


def test_labels_and_names_stay_text() -> None:
    card = model_card(replace(FACTS, name="a\n---\n# b <img src=x>"))
    assert "<script>" not in card
    assert "<img" not in card
    assert r"# a --- \# b &lt;img src=x&gt;" in card
    assert front_matter(card)["license"] == "apache-2.0"


@pytest.mark.parametrize(("licence", "said"), [(None, "do not name"), ("mit", "(mit)")])
def test_the_licence_is_the_bases(licence: str | None, said: str) -> None:
    card = model_card(replace(FACTS, licence=licence))
    assert said in card
    assert front_matter(card)["license"] == (licence or "unknown")


def test_a_number_without_evaluation() -> None:
    card = model_card(replace(FACTS, objective="regression", labels=(), metrics={}, base_metrics={}, slices={}))
    assert "predicts a number" in card
    assert "no evaluation rows" in card
    assert "Labels:" not in card
