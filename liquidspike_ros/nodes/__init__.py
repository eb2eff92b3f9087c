"""ROS 2 nodes: the only place that imports rclpy or message packages.

- Programs: ``policy_node``, ``sim_node``, ``bag_player`` (``bag_playback``), ``train_node``; begun
  by ``start``, each its own ``process``; ``launching`` for the launch files.
- The policy node: ``policy_session`` (all of a configured one) with ``loading``, ``intake``
  (sensors in), ``inference`` (the inference thread), ``command_output`` (commands out), ``arming``,
  ``policy_report`` (``diagnostics``, ``tick_statistics``), ``introspection``.
- Topics: ``messages``, ``subscribers``, ``approximate_time``, ``offered_qos``, ``topic_graph``.
- Time and threads: ``executors``, ``clock_source``, ``clock_guard``, ``pacing``.
- Parameters: ``options``, ``declarations``, ``parameters``, ``coercion``, ``ros_arguments``;
  written down by ``help``, ``policy_help`` and ``parameter_table``.
"""
