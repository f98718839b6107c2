"""Sessions: the log of one conversation and its life."""
