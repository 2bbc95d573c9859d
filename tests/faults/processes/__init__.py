"""The matrix with real processes: kill -9, SIGSTOP, full and read-only file systems, a network that fails between them.

A few hundred of these runs say that what `tests.faults` plays in memory is what happens; that one finds the bugs.
A clock that jumps under a running process, and a disk that is slow, are put at the edge of each process (`edge`). What
a socket cannot do is not played here: TCP neither duplicates nor reorders.
"""
