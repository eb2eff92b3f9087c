"""Policies for programs without this package: graphs with the state going in and out.

``write`` (checkpoint -> checked artefacts) reads top-down: ``flat_step`` (a tick as a function of
tensors), ``formats``, ``manifest``; ``check`` compares them with the eager model over
``sequences``. Where rounding decides whether a neuron fires: ``threshold_ties``, with ``told``,
``spike_courses`` and ``spike_search``.
"""
