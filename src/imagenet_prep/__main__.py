"""Start of the command ``imagenet-prep`` and of ``python -m imagenet_prep``.

Worker processes import this module too, so it imports nothing until it is called.
"""


def main() -> None:
    """Run the command line; ends the process with one of the documented exit codes."""
    from imagenet_prep.cli.main import run

    run()


if __name__ == "__main__":
    main()
