"""Learning a policy from recordings: bags, sequences, objectives, trainer. Needs no ROS."""
