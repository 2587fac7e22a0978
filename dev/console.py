"""Where the commands talk to whoever runs them."""

from rich.console import Console

# Not a terminal (CI): no colours, no wrapping of links and error messages at a guessed width.
console = Console(highlight=False, soft_wrap=True)
