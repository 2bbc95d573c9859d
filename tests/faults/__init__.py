"""The fault matrix: the three programs in one process, on a clock and a network that a seed decides about.

What runs is the production code: agent, relay, lines and controllers, the link under them, SQLite journals on files.
Made up are the event loop's clock (`loop`), sockets (`wire`), what the disk says (`disk`) and the processes that are
started at the endpoint (`endpoint`). `plan` draws what goes wrong when and `strikes` does it; `world` plays one run
of the `programs`; `invariants` looks at what is left; `bugs` breaks the production code on purpose, to see that it is
noticed.

make faults                         60 seconds of runs, one table; then each planted bug
make faults ARGS="--seed 1234"      one run again, step by step
"""
