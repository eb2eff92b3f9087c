"""The neural library: spiking encoders, liquid cells, multimodal fusion. Needs torch, not ROS.

From the ground up, and nothing looks upward:

- ``state`` (the nested memory of a network), ``dispatch`` (whether weights may be read or layers
  have to be called), ``derived_weights`` (what is made of parameters), ``computed_buffers``,
  ``double_backward``, ``products``, ``sizes``, ``frozen_parts``, ``blueprint`` and
  ``weights_file``;
- ``spiking`` and ``liquid``: neurons and cells;
- ``tick``: one tick in C;
- ``modality_preprocessing`` and ``multimodal_fusion``: from raw inputs to one output;
- ``multimodal_applications``: the ready-made models; ``stages``: training them part by part;
- ``checkpoint`` and ``deployment``: models on disk, and on a robot.
"""
