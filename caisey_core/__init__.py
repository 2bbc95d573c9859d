"""What two programs must agree on: bytes, rows and verdicts.

The signed record and its codec, the roster, the policy, the fold of a session, the link protocol without
I/O, the SQLite journal and the connecting client. A module belongs here only if two of the three programs
have to come to the same bytes, the same rows or the same verdict; nothing in here imports any of them.
"""

__version__ = "0.1.0"
