"""A trainer that speaks the protocol and does nothing: it prints the lines of a script and obeys signals and its standard input.

Each line of the script is an event to print, or one of: `sleep` (until told to stop), `exit N`, `kill N`, `stderr TEXT`.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

PREEMPTED = {"event": "word", "reason": "Preempted", "message": "saved at step 7 in s3://models/x/checkpoints", "remedy": "run it again"}


def stop_with_stdin() -> None:
    os.read(0, 1)  # not sys.stdin: a thread that holds its lock aborts the interpreter at exit
    os._exit(9)


def leave(*_: object) -> None:
    Path(sys.argv[1]).with_suffix(".saved").touch()
    print(json.dumps(PREEMPTED), flush=True)
    os._exit(75)


def main() -> None:
    script, verb, *arguments = sys.argv[1:]
    if "stubborn" not in script:
        signal.signal(signal.SIGTERM, leave)
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=stop_with_stdin, daemon=True).start()
    Path(script).with_suffix(".seen").write_text(json.dumps([os.getpid(), verb, *arguments]))
    if arguments and Path(arguments[0]).is_file():
        Path(script).with_suffix(".job").write_text(Path(arguments[0]).read_text())
    for line in Path(script).read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == "sleep":
            threading.Event().wait()
        elif word == "exit":
            sys.exit(int(rest))
        elif word == "kill":
            os.kill(os.getpid(), int(rest))
        elif word == "stderr":
            print(rest, file=sys.stderr)
        else:
            print(line, flush=True)


main()
