"""`python -m miscomp` is the command line."""

from miscomp.cli.app import main

if __name__ == "__main__":
    main()
