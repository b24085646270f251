"""HF Trainer as its users run it on a CPU: reads a Tunesmith manifest, prints the same events as `tunesmith run -o json`.

bf16 autocast (fp32 where the manifest says so), rows grouped by length, its stock AdamW and one learning rate. LoRA is PEFT's on the
same layers, with pooler and classifier trained.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import sys
from pathlib import Path
from typing import IO, Any

import datasets
import torch
import transformers as tf
import yaml

from tunesmith_api.methods import Lora
from tunesmith_api.tuning import Hyperparameters, TuningJob, TuningSpec


def main() -> None:
    """Train as the manifest says; only events go to the standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--buckets", type=Path, required=True)
    arguments = parser.parse_args()
    events = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        spec = TuningJob.model_validate(yaml.safe_load(arguments.manifest.read_text(encoding="utf-8"))).spec
        _train(spec, arguments.buckets, events)


def _train(spec: TuningSpec, buckets: Path, events: IO[str]) -> None:
    tf.set_seed(spec.hyperparameters.seed)
    folder = Path(os.environ["TUNESMITH_HF_MIRROR"]) / spec.model.uri.removeprefix("hf://")
    tokenizer = tf.AutoTokenizer.from_pretrained(folder)
    train = _read(spec, buckets, spec.dataset.train.uri)
    names = sorted({label for _, label in train})
    held_out = _read(spec, buckets, spec.dataset.evaluation.uri) if spec.dataset.evaluation else None
    trainer = tf.Trainer(
        model=_model(spec, folder, len(names)),
        args=_arguments(spec.hyperparameters, buckets, evaluates=held_out is not None),
        train_dataset=_encoded(train, tokenizer, names, spec.hyperparameters),
        eval_dataset=_encoded(held_out, tokenizer, names, spec.hyperparameters) if held_out else None,
        data_collator=tf.DataCollatorWithPadding(tokenizer),
        processing_class=tokenizer,
        compute_metrics=lambda answer: {"accuracy": float((answer.predictions.argmax(-1) == answer.label_ids).mean())},
        callbacks=[Voice(events)],
    )
    trainer.train()


class Voice(tf.TrainerCallback):
    """Says every step and every evaluation as Tunesmith does."""

    def __init__(self, events: IO[str]) -> None:
        self._events = events

    def on_step_end(self, args: tf.TrainingArguments, state: tf.TrainerState, control: tf.TrainerControl, **_: Any) -> None:
        """Say the step."""
        self._say({"event": "progress", "phase": "Training", "step": state.global_step, "totalSteps": state.max_steps})

    def on_evaluate(
        self, args: tf.TrainingArguments, state: tf.TrainerState, control: tf.TrainerControl, metrics: dict[str, float], **_: Any
    ) -> None:
        """Say the accuracy."""
        self._say({"event": "evaluation", "step": state.global_step, "metrics": {"accuracy": metrics["eval_accuracy"]}})

    def _say(self, event: dict[str, Any]) -> None:
        self._events.write(json.dumps(event) + "\n")
        self._events.flush()


def _read(spec: TuningSpec, buckets: Path, uri: str) -> list[tuple[str, str]]:
    columns = spec.dataset.columns
    with (buckets / uri.removeprefix("s3://")).open(newline="", encoding="utf-8") as lines:
        return [(row[columns.text], row[columns.label]) for row in csv.DictReader(lines)]


def _encoded(rows: list[tuple[str, str]], tokenizer: Any, names: list[str], hp: Hyperparameters) -> datasets.Dataset:
    tokens = tokenizer([text for text, _ in rows], truncation=True, max_length=hp.max_length, return_token_type_ids=False)
    labels = [names.index(label) for _, label in rows]
    return datasets.Dataset.from_dict({**tokens, "labels": labels, "length": [len(ids) for ids in tokens["input_ids"]]})


def _model(spec: TuningSpec, folder: Path, labels: int) -> torch.nn.Module:
    dropout = spec.hyperparameters.dropout
    model = tf.AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=labels, dtype=torch.float32, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout
    )
    return _adapted(model, spec.method.lora) if spec.method.lora else model


def _adapted(model: Any, lora: Lora) -> torch.nn.Module:
    from peft import LoraConfig, get_peft_model

    return get_peft_model(
        model,
        LoraConfig(
            task_type="SEQ_CLS",
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"],
            modules_to_save=["pooler", "classifier"],
        ),
    )


def _arguments(hp: Hyperparameters, buckets: Path, *, evaluates: bool) -> tf.TrainingArguments:
    return tf.TrainingArguments(
        output_dir=str(buckets.parent / "peer"),
        use_cpu=True,
        bf16=hp.precision != "fp32",
        train_sampling_strategy="group_by_length",
        dataloader_pin_memory=False,
        per_device_train_batch_size=hp.batch_size,
        per_device_eval_batch_size=256,
        num_train_epochs=hp.epochs,
        learning_rate=hp.learning_rate,
        lr_scheduler_type=hp.schedule,
        warmup_steps=hp.warmup_fraction,  # below one it is a share of all steps
        weight_decay=hp.weight_decay,
        max_grad_norm=hp.max_gradient_norm,
        label_smoothing_factor=hp.label_smoothing,
        seed=hp.seed,
        eval_strategy="epoch" if evaluates else "no",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


if __name__ == "__main__":
    main()
