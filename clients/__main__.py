"""`python -m clients` is the command `usage`."""

from clients.cli import main

if __name__ == "__main__":
    main()
