"""LIF populations on a GPU: ``choice`` (whether), ``lif`` (how), ``kernels`` (in Triton)."""
