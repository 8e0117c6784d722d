"""``python -m mixspec`` is the command ``mixspec``."""

from .cli import main

if __name__ == "__main__":
    main()
