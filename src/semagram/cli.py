"""The command line: which commands there are, and how errors are told.

This module imports nothing heavy, so ``semagram --help`` answers at once; each command imports what it needs when
it runs. What a user can mend is one line on stderr and exit status 2; anything else is a fault of ours, exit
status 1, with the traceback on request (``--debug``).
"""

from __future__ import annotations

import importlib
import os
import sys

from semagram.errors import UserError, nearest

COMMANDS = {
    "demo": "train on the text that ships with Python, show a sample, an honest score and a report",
    "train": "train a model on your text",
    "generate": "continue a prompt with a trained model",
    "fill": "write what is missing in a text (gaps ___) with a trained model",
    "score": "nats and bits per character of a text under a trained model",
    "automaton": "rewrite a text cell by cell, again and again, with a centred model",
    "compress": "code a text into a file with a trained model's predictions",
    "decompress": "rebuild the text from such a file",
    "audit": "look for leaks in a trained model: does every score decode, does anything see the future",
    "memorise": "how much of its training text a model knows by heart",
    "compare": "train and judge several recipes alike, and say how sure the difference is",
    "sweep": "try many settings of a recipe, and train the best",
    "prefer": "teach a trained model which of two responses is the better one",
    "ensemble": "join trained models into one, and learn their weights",
    "export": "write a trained model as a Hugging Face folder",
    "recipes": "list the recipes, or print one",
    "tags": "what labellers say of a text, and how much of that looks ahead",
    "distil": "write what a trained model tells apart as a small labeller in Python",
    "corpora": "list the texts that are known by name",
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status (0 done, 1 our fault, 2 the user can mend it, 130 interrupted)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [a for a in given if a != "--debug"]
    try:
        return _dispatch(given)
    except UserError as error:
        if debug:
            raise
        return _say(str(error), 2)
    except KeyboardInterrupt:
        return _say("interrupted.", 130)
    except BrokenPipeError:
        # The reader (head, less) has gone: point stdout nowhere, so that Python's own flush at exit is quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except PermissionError as error:
        if debug:
            raise
        return _say(f"no permission for {error.filename}: choose another place or change its rights.", 2)
    except OSError as error:
        if debug:
            raise
        return _say(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}.", 2)
    except Exception as error:
        if debug:
            raise
        return _say(f"internal error ({type(error).__name__}): {error} Run again with --debug for the traceback.", 1)


def _dispatch(given: list[str]) -> int:
    if not given or given[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if given[0] in ("-V", "--version"):
        from semagram import __version__

        print(f"semagram {__version__}")
        return 0
    if given[0] not in COMMANDS:
        hint = nearest(given[0], COMMANDS)
        raise UserError(f"there is no command {given[0]!r}; there are {', '.join(COMMANDS)}.{hint}")
    return importlib.import_module(f"semagram.commands.{given[0]}").run(given[1:])


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {line}" for name, line in COMMANDS.items()]
    return "\n".join(
        [
            "semagram: language models whose text need not stand in a line, judged by the size of a file that decodes.",
            "",
            "usage: semagram COMMAND [OPTIONS]      semagram COMMAND --help for a command's options",
            "",
            *lines,
            "",
            "  semagram train book.txt              trains, writes a sample and scores the last tenth of the text",
            "  semagram COMMAND --tyro-print-completion bash|zsh|tcsh    prints shell completion for a command",
            "  --debug                              shows the traceback of an error",
        ]
    )


def _say(message: str, status: int) -> int:
    print(f"semagram: {' '.join(message.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
