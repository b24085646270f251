"""The sections that more than one kind of job has."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from tunesmith_api.meta import ApiModel, FieldProblem, FieldProblems

SCHEMES = ("s3", "gs", "az", "hf", "file")


def _location(uri: str, allowed: tuple[str, ...]) -> str:
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme not in allowed:
        raise ValueError(f"must start with one of {', '.join(a + ':' for a in allowed)}")
    if scheme != "file" and not rest.startswith("//"):
        raise ValueError(f"must start with {scheme}://")
    if not rest.strip("/"):
        raise ValueError("names no bucket or path")
    if any(ord(c) < 32 for c in uri):
        raise ValueError("holds a control character")
    if scheme != "file" and ".." in rest.split("/"):
        raise ValueError('must not hold a ".." segment')
    return uri


def model_location(uri: str) -> str:
    """Check the URI of a model: a bucket, a hub id or a local folder."""
    return _location(uri, SCHEMES)


def data_location(uri: str) -> str:
    """Check the URI of a file, folder or glob in a bucket or on this machine."""
    return _location(uri, ("s3", "gs", "az", "file"))


ModelUri = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(model_location)]
DataUri = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(data_location)]
ColumnName = Annotated[str, Field(min_length=1, max_length=256)]
Format = Literal["csv", "tsv", "jsonl", "json", "parquet"]


class ModelSource(ApiModel):
    """Where a model comes from."""

    uri: ModelUri
    """Folder of the model in Hugging Face layout: s3://, gs://, az://, hf://org/name[@revision], or file: (laptops only)."""


class DataSource(ApiModel):
    """One or more files of rows."""

    uri: DataUri
    """A file, or a glob such as s3://data/tickets/*.jsonl.gz; s3://, gs://, az://, or file: (laptops only)."""
    format: Format | None = None
    """Format of the files; detected from name and content when absent. Each may be compressed (.gz, .zst)."""


class Columns(ApiModel):
    """Which columns of the data hold what."""

    text: ColumnName = "text"
    """Column that holds the text."""
    text_pair: ColumnName | None = None
    """Column that holds the second text, where a row is a pair of texts."""
    label: ColumnName = "label"
    """Column that holds the label (classification) or the number (regression)."""

    @model_validator(mode="after")
    def _each_its_own(self) -> Self:
        named = {"text": self.text, "textPair": self.text_pair, "label": self.label}
        fields = list(named)
        twice = [(b, a) for i, a in enumerate(fields) for b in fields[i + 1 :] if named[a] == named[b]]
        if twice:
            raise FieldProblems(
                [FieldProblem(later, f"names the same column as {earlier}; each needs its own") for later, earlier in twice]
            )
        return self


class Output(ApiModel):
    """Where the result goes."""

    uri: DataUri
    """Folder that receives the artifact; one job at a time may write to it."""
    overwrite: bool = False
    """Replace another job's artifact that is already there. Without it that is an error."""


class Checkpoints(ApiModel):
    """How often progress is saved, and whether the saved states are kept."""

    every_steps: int = Field(default=200, ge=1, le=1_000_000)
    """Optimizer steps between two checkpoints."""
    keep: bool = False
    """Keep the checkpoints after success; by default they are removed."""
