"""The console that the commands print to."""

from rich.console import Console

# Numbers and paths stay uncoloured; links and error messages are not wrapped at a width that is guessed in CI.
console = Console(highlight=False, soft_wrap=True)
