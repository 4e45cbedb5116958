"""`python -m mobike.cli` is `mobike`."""

from mobike.cli import main

if __name__ == "__main__":
    main()
