"""The relay: its rules as tables, its log as an engine, and itself as a process on real sockets."""
