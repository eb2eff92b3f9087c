"""The neural library: spiking encoders, liquid cells, multimodal fusion. Needs torch, not ROS."""
