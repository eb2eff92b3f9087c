"""Policies for programs without this package: graphs with the state going in and out."""
