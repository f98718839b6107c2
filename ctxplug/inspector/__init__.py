"""The terminal inspector: what the model saw at a turn, and why. `ctxplug inspect agent.db`.

`reading` and what it imports are plain data over a store, without a terminal; `app` shows them
with textual, which is imported there alone.
"""
