"""``python -m kiqdoctor``: answers ``--version`` before anything of weight is imported."""

import sys


def main() -> None:
    """The console script."""
    if sys.argv[1:] == ["--version"]:
        from kiqdoctor.version import __version__

        sys.stdout.write(f"kiqdoctor {__version__}\n")
        return
    from kiqdoctor.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
