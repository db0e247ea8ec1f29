"""The command ``imagenet-prep``: its subcommands, and the one place where errors become a message and an exit code."""

from __future__ import annotations

import errno
import io
import json
import os
import shlex
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from types import FrameType
from typing import NoReturn

import click

from imagenet_prep.cli.invocation import Invocation
from imagenet_prep.cli.screen import say
from imagenet_prep.errors import OutputError, PrepError, UsageError, printable
from imagenet_prep.model.given import nearest
from imagenet_prep.platform import check_platform
from imagenet_prep.version import __version__

_COMMANDS = {  # name → module and help; a module is loaded when its command runs, so that --help is quick
    "fetch": "Download the archives, or show how to get them and which are here.",
    "check": "Report what a source has, what is wrong, and what can be built.",
    "build": "Make a data set from archives or folders: the main job.",
    "audit": "Read every record of a data set back, and compare it.",
    "resume": "Finish a data set as it was started.",
    "repair": "Write the damaged shards of a data set again.",
    "undo": "Remove a data set, and put moved files back.",
    "classes": "List, find and export the 1,000 classes.",
    "fake": "Make a miniature ILSVRC2012 in the official layout.",
    "demo": "Do the whole job on a miniature, in seconds.",
}

EXIT_CODES = """\b
Exit codes:
  0  done
  1  a bug, or workers that died twice over one shard
  2  wrong usage
  3  done, but images were set aside
  4  the source is missing, damaged or ambiguous
  5  the output folder holds another data set, or another run uses it
  6  out of space, or not writable
  7  the audit found differences, or no known data set
  130  interrupted"""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 — click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = __import__(f"imagenet_prep.cli.{cmd_name}", fromlist=[cmd_name])
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. Raises UsageError, with the one that was probably meant."""
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            raise UsageError(f"There is no command {args[0]!r}.", remedy=nearest(args[0], _COMMANDS))
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take ``help COMMAND`` for ``COMMAND --help``."""
        if args[:1] == ["help"]:
            args = [*args[1:2], "--help"]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command. For programs an interrupt is one line: click would add an empty one."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if ctx.ensure_object(Invocation).as_json:
                raise click.Abort from None
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Commands, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="imagenet-prep")
def cli() -> None:
    """Turn ImageNet ILSVRC2012, as archives or folders, into training data: verified, labelled, split, shuffled.

    \b
    imagenet-prep demo                 try it in seconds, with no download
    imagenet-prep fetch ARCHIVES       how to get the archives
    imagenet-prep check ARCHIVES       what is there, and what can be built
    imagenet-prep build ARCHIVES DATA  the whole job; run it again to resume
    """  # noqa: D301 — the backslash is click's mark for lines to leave as they are


def run() -> NoReturn:
    """Run the command line on the arguments of this process, and end the process with a documented exit code."""
    _hear_signals()
    output, this = sys.stdout, Invocation(tuple(sys.argv[1:]))
    try:
        check_platform()
        code = cli.main(list(this.words), prog_name="imagenet-prep", standalone_mode=False, obj=this)
        sys.stdout.flush()
    except PrepError as error:
        _report(error, this)
    except click.ClickException as error:
        if this.as_json:
            _report(UsageError(error.format_message()), this)
        shown = io.StringIO()
        error.show(shown)
        _say(shown.getvalue().rstrip())
        _leave(error.exit_code)
    except SystemExit:
        if sys.stdout is output:
            raise
        # Click has replaced standard output, because the reader is gone, and would end with code 1.
        _drop_output()
        _leave(0)
    except (KeyboardInterrupt, click.Abort):
        said = _interrupted(this)
        _say(json.dumps({"event": "interrupted", "summary": said}) if this.as_json else said, whole=this.as_json)
        # At once: an interrupt can catch a lock in any state, and Python would wait for every thread to end.
        os._exit(130)
    except BrokenPipeError:  # the reader of our output is gone, as with `head`
        _drop_output()
        _leave(0)
    except (MemoryError, OSError) as error:
        _report(_of_the_machine(error), this)
    _leave(code or 0)


def _of_the_machine(error: MemoryError | OSError) -> PrepError:
    """Say what the machine lacks; any other error is a bug, and raised."""
    if isinstance(error, MemoryError) or error.errno == errno.ENOMEM:
        return PrepError("There is not enough memory.", remedy="Fewer --jobs need less; see also ulimit -v.")
    if error.errno != errno.ENOSPC:
        raise error
    _drop_output()
    return OutputError("Standard output goes to a place that is full; the work itself is done.")


def _as_json(error: PrepError) -> str:
    problems = [asdict(problem) for problem in error.problems]
    words = {"summary": error.summary, "problems": problems, "remedy": error.remedy}
    return json.dumps({"event": "error", **words, "exit_code": error.exit_code})


def _drop_output() -> None:
    """Let what standard output still holds go nowhere: Python would try to write it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _hear_signals() -> None:
    """A batch system ends a job with SIGTERM, a terminal that is closed with SIGHUP: clean up as for Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # which nohup makes it
        signal.signal(signal.SIGHUP, _interrupt)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _report(error: PrepError, this: Invocation) -> NoReturn:
    _say(_as_json(error) if this.as_json else f"Error: {error}", whole=this.as_json)
    _leave(error.exit_code)


def _interrupted(this: Invocation) -> str:
    """Say how far the work came, and what goes on."""
    said = f"Interrupted{this.reached()}."
    if not this.resumes:
        return said
    again = "The same command again goes on where this one stopped"
    return f"{said}\n{again}:\n    {_command(this)}" if this.repeated else f"{said}\n{again}."


def _command(this: Invocation) -> str:
    return printable(shlex.join(("imagenet-prep", *this.words)))


def _say(text: str, *, whole: bool = False) -> None:
    """Print on standard error; if that is not possible, the exit code says enough."""
    with suppress(OSError):
        say(text, err=True, whole=whole)


def _leave(code: int) -> NoReturn:
    for late in (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
    ):  # while Python ends, they would change the code of what is done
        signal.signal(late, signal.SIG_IGN)
    sys.exit(code)
