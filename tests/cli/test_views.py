"""What a run looks like on a terminal and in a pipe."""

import io
import re
from types import ModuleType

from rich.console import Console

from tunesmith_cli.text import clean, duration, size
from tunesmith_cli.views import SAVING, JsonView, LiveView, PlainView

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def plain(events: ModuleType, *, detailed: bool = False) -> list[str]:
    out = io.StringIO()
    view = PlainView(out, detailed=detailed)
    for event in events.recording():
        view.show("", event)
    view.close(["accuracy 0.938"], events.SUCCEEDED)
    return out.getvalue().splitlines()


def live(events: ModuleType, *, detailed: bool = False) -> str:
    out = io.StringIO()
    view = LiveView(
        Console(file=out, force_terminal=True, width=100, color_system="standard", legacy_windows=False, _environ={}), detailed=detailed
    )
    for event in events.recording():
        view.show("", event)
        if isinstance(event, events.ProgressEvent) and event.percent == 100:
            view.progress.refresh()
    view.close(["accuracy 0.938"], events.SUCCEEDED)
    return out.getvalue()


def test_a_pipe_gets_plain_lines_and_no_colour(events: ModuleType) -> None:
    lines = plain(events)
    assert not any("\x1b" in line or "\u202e" in line for line in lines)
    assert lines[0] == "preflight"
    assert "training: 628 steps" in lines
    assert "evaluation at step 157: accuracy 0.61 (best so far)" in lines
    assert "checkpoint at step 157: s3://models/banking-intents/checkpoints/157" in lines
    assert lines[-2:] == ["", "accuracy 0.938"]


def test_a_pipe_gets_one_line_for_every_twentieth_of_the_progress(events: ModuleType) -> None:
    moving = [line for line in plain(events) if re.match(r"training \d+ %", line)]
    assert [int(line.split()[1]) for line in moving] == list(range(5, 101, 5))
    assert moving[0] == "training 5 %: step 32/628, loss 4.1933, 12,346 tokens/s, 2 min 29 s left"


def test_the_plan_is_a_compact_table(events: ModuleType) -> None:
    lines = plain(events)
    rows = dict(line.split("  ", 1) for line in lines[1 : lines.index("training: 628 steps")] if "  " in line)
    assert rows["model"].strip() == "hf://org/mini (BertModel, 22.7M parameters, float32)"
    assert rows["lengths"].strip() == "p50 12, p95 30, p99 50, max 198 tokens; maxLength 128 cuts 2 rows"
    assert rows["steps"].strip() == "628: 4 epochs of 157 steps, 64 rows a step (at most 32 at once), 142k tokens an epoch"
    assert rows["memory"].strip().startswith("1.01 GB of 24 GB (")
    assert rows["time"].strip() == "about 2 min 50 s"


def test_a_warning_is_said_once(events: ModuleType) -> None:
    assert plain(events).count("warning: 3 evaluation rows are also training rows") == 1


def test_foreign_text_cannot_speak_to_the_terminal(events: ModuleType) -> None:
    for shown in ("\n".join(plain(events, detailed=True)), live(events, detailed=True)):
        assert "owned" not in shown
        assert "\x1b]" not in shown
        assert "\u202e" not in shown
        assert "card [red]fee[/red]" in COLOUR.sub("", shown).replace("\n", " ")
    assert "\x1b[31m [red]" not in live(events)


def test_a_terminal_gets_a_moving_bar_with_figures(events: ModuleType) -> None:
    shown = live(events)
    assert "\x1b[" in shown
    text = COLOUR.sub("", shown)
    assert "100%" in text
    assert "step 628/628, loss 2.2067, 12,346 tokens/s, 0 s left" in text
    assert "evaluation at step 157: accuracy 0.61 (best so far)" in text
    assert text.rstrip().endswith("accuracy 0.938")


def test_machines_get_the_trainers_own_lines_and_always_a_word(events: ModuleType) -> None:
    out = io.StringIO()
    view = JsonView(out)
    view.show('{"event":"phase","phase":"x"}', events.recording()[0])
    view.show("the word", events.SUCCEEDED)
    view.stopping()
    view.close([], events.SUCCEEDED)
    first, last = out.getvalue().splitlines()
    assert first == '{"event":"phase","phase":"x"}'
    assert '"reason":"Succeeded"' in last


def test_stopping_is_said(events: ModuleType) -> None:
    out = io.StringIO()
    PlainView(out).stopping()
    assert out.getvalue() == f"{SAVING}\n"


def test_units() -> None:
    assert [duration(s) for s in (0.2, 99, 150, 3900)] == ["0 s", "99 s", "2 min 30 s", "1 h 5 min"]
    assert [size(n) for n in (12, 1500, 87_300_000, 24e9, 3e12)] == ["12 B", "1.5 kB", "87.3 MB", "24 GB", "3.00 TB"]
    assert clean("a\x1b[2Jb\x9b31mc\r\nd\x00") == "ab 31mc  d"
