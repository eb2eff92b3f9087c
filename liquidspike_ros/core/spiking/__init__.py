"""Spiking neurons: explicit state, surrogate gradients, all steps of a sequence in one node.

Reads top-down: ``surrogates`` (where the spike is made), ``lif`` (the equations, for any reset),
``rates`` (the same without keeping the spikes), ``coding`` (inputs as spikes), ``population`` (the
module), ``reference`` (snntorch's cell from the same weights), ``triton`` (kernels for a GPU).
"""
