"""The demo: two nodes on real topics, an observer beside them, pictures afterwards.

Part of the command line (``liquidspike demo``); rclpy is imported lazily and only by the observer.

``run`` (one demo from start to end) with ``processes``, ``progress``, ``observer`` (->
``recording``, ``reports``); then ``results``: ``summary`` (figures), ``drawing`` (the plan view),
``video`` (the film), of the panels in ``scene`` and ``signals``, made of ``panel`` and ``canvas``.
"""
