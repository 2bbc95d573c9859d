"""Writes the golden files anew: `python -m tests.core.golden`."""

from tests.core.golden import FILES, HERE

for name, make in FILES.items():
    (HERE / name).write_text(make())
    print(HERE / name)
