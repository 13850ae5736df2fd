"""The exact ways to compute a convolution, one plain function a file."""
