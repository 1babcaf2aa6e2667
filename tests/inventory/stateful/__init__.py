"""Every verb of the inventory in any order, with crashes, against a model that is nothing but Python.

`model.py` says what should be, `reading.py` what the database says, `crashes.py` how a process dies, `machine.py` what
may happen. docs/development.md tells how to run it for longer.
"""
