"""A single tick of a deployed copy in C.

Reads top-down: ``weights`` (the one layout, with its shapes), ``pointers`` (the same as structures
of C), ``native_tick`` (a tick, or why not), ``native`` (the C code and how it is found).
"""
