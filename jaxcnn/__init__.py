"""jaxcnn: convolution and pooling for JAX, as pure functions that are exact, complete and fast."""

__version__ = "0.1.0"
