"""The demo: two nodes on real topics, an observer beside them, pictures afterwards.

Part of the command line (``liquidspike demo``); rclpy is imported lazily and only by the observer.
"""
