"""What comes from outside, taken with care; every layer may use it, and it uses none.

Modules: ``text`` (one short line of whatever is to be shown), ``files`` (regular files up to a
size), ``json_text`` and ``yaml_text`` (plain values of bounded size and depth, each key once),
``parameter_file`` (what stands below ``ros__parameters``), ``fields`` (a value for a typed field).
"""
