"""The model card: what a stranger must know before using the model, in the form that model hubs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import yaml

_PIPELINE_TAGS = {"classification": "text-classification", "regression": "text-classification"}
_TO_FILL_IN = "*To be filled in by the team that publishes this model.*"

_USE = {
    "transformers": """from transformers import pipeline

classify = pipeline("text-classification", "PATH/model")""",
    "peft": """from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

base = AutoModelForSequenceClassification.from_pretrained("{base}", num_labels={outputs})
model = PeftModel.from_pretrained(base, "PATH/adapter")
tokenizer = AutoTokenizer.from_pretrained("PATH/adapter")  # config.json beside it names the labels""",
    "sentence-transformers": """from sentence_transformers import SentenceTransformer

model = SentenceTransformer("PATH/model")
scores = model.encode(["a text"])  # one column for each label of model[0].auto_model.config.id2label""",
}


@dataclass(frozen=True)
class CardFacts:
    """What the card is written from."""

    name: str
    objective: str
    """classification or regression."""
    method: str
    base_uri: str
    base_digest: str
    licence: str | None
    """Of the base model; the tuned one inherits it."""
    languages: tuple[str, ...]
    library: str
    """The library that loads it: transformers, peft or sentence-transformers."""
    parameters: int
    trainable_parameters: int
    data: Mapping[str, str]
    """Digest of each data file by its URI."""
    data_digest: str
    labels: tuple[str, ...]
    """Empty for regression."""
    metrics: Mapping[str, float]
    base_metrics: Mapping[str, float]
    headline: str
    digest: str
    version: str
    hyperparameters: Mapping[str, object] = field(default_factory=dict)
    slices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Metrics by "column = value"."""

    @property
    def base_id(self) -> str:
        """The hub id of the base, where it has one; else its URI."""
        return self.base_uri.removeprefix("hf://").partition("@")[0] if self.base_uri.startswith("hf://") else self.base_uri


def model_card(facts: CardFacts) -> str:
    """README.md: YAML front matter, then prose and tables."""
    sections = (
        f"# {_text(facts.name)}",
        _summary(facts),
        f"## Intended use\n\n{_TO_FILL_IN} Who is it for, which texts is it meant for, and which decisions must not rest on it?",
        f"## Use\n\n```python\n{_USE[facts.library].format(outputs=len(facts.labels) or 1, base=_code(facts.base_id))}\n```",
        _evaluation(facts),
        _data(facts),
        _training(facts),
        f"## Limits\n\n{_TO_FILL_IN} See report.html for the worst errors, the balance of the data and the metrics per class.",
        f"## Provenance\n\nMade by Tunesmith {facts.version}. Spec digest `{facts.digest}`. manifest.json holds the digest of every file.",
    )
    return f"---\n{_front_matter(facts)}---\n\n" + "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(facts: CardFacts) -> str:
    matter: dict[str, object] = {
        "license": facts.licence or "unknown",
        "base_model": facts.base_id,
        "library_name": facts.library,
        "pipeline_tag": _PIPELINE_TAGS[facts.objective],
        "tags": ["tunesmith", facts.objective, facts.method],
    }
    if facts.languages:
        matter["language"] = list(facts.languages)
    return yaml.safe_dump(matter, sort_keys=False, allow_unicode=True)


def _summary(facts: CardFacts) -> str:
    task = f"classifies text into {len(facts.labels)} labels" if facts.labels else "predicts a number from text"
    licence = (
        f"the base model's licence ({_text(facts.licence)})"
        if facts.licence
        else "the base model's licence, which its files do not name: look it up"
    )
    tuned = f"It was tuned from `{_code(facts.base_id)}` by {facts.method} and is under {licence}."
    return f"This model {task}. {tuned}\n\n**{_text(facts.headline)}**"


def _evaluation(facts: CardFacts) -> str:
    if not facts.metrics:
        return "## Evaluation\n\nThe job had no evaluation rows: nothing is known of how well the model does."
    rows = [(name, _number(value), _number(facts.base_metrics.get(name))) for name, value in facts.metrics.items()]
    out = f"## Evaluation\n\n{_table(('metric', 'this model', 'baseline'), rows)}"
    if not facts.slices:
        return out
    names = list(next(iter(facts.slices.values())))
    slices = [(value, *(_number(scores.get(name)) for name in names)) for value, scores in facts.slices.items()]
    return f"{out}\n\nBy slice:\n\n{_table(('slice', *names), slices)}"


def _data(facts: CardFacts) -> str:
    files = _table(("file", "digest"), [(uri, digest) for uri, digest in facts.data.items()])
    labels = f"\n\nLabels: {', '.join(f'`{_code(label)}`' for label in facts.labels)}" if facts.labels else ""
    return f"## Data\n\n{files}\n\nPrepared data: `{facts.data_digest}`.{labels}"


def _training(facts: CardFacts) -> str:
    counts = f"{facts.trainable_parameters:,} of {facts.parameters:,} parameters were trained. Base digest `{_code(facts.base_digest)}`."
    rows = [(name, str(value)) for name, value in facts.hyperparameters.items()]
    return f"## Training\n\n{counts}" + (f"\n\n{_table(('setting', 'value'), rows)}" if rows else "")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(_text(cell) for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _text(value: str) -> str:
    """Text that Markdown and HTML show as it is: labels and names come from data."""
    plain = " ".join(value.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\`*_[]|#!~" else c for c in plain)


def _code(value: str) -> str:
    return " ".join(value.split()).replace("`", "'").replace("<", "(").replace(">", ")")
