"""`python -m dexpie`."""

import sys


def main() -> None:
    """Entry point; an interrupt while Python is still importing is an ordinary end."""
    try:
        from dexpie.cli import run

        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


if __name__ == "__main__":
    main()
