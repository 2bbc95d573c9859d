"""The whole thing, as technicians have it: relay, agent and command line as processes."""
