"""Learning a policy from recordings: bags, sequences, objectives, trainer. Needs no ROS.

Reading, from the file up:

- ``decompression``: untrusted bytes, bounded.
- ``bag_metadata``, ``mcap_salvage``, ``sqlite_file``, ``ros1_file`` (``ros1_types``): one storage
  file each; ``storage``: all files of a recording as one stream in log-time order.
- ``message_types``, ``message_samples``: definitions, decoding, one message in words.
- ``time_offset``: stamps on another clock than the log; ``topic_choice``: which topic serves what.
- ``bag_scan`` -> ``bag_report``: one pass over a recording, and its findings; ``bags``: its events.
- ``replay``: events through the sensing code, tick by tick; ``labels``, ``recording_facts``: what
  the robot was told at each tick, and what looks wrong; ``episode``: one recording as a sequence,
  ``dataset``: all of them on disk; ``survey``: all of it without storing.

Learning: ``configuration``, ``lanes``, ``augmentation``, ``objectives``, ``schedule``,
``model_building``, ``trainer``; around it ``console``, ``interruption``, ``resumption``,
``output_folder``.
"""
