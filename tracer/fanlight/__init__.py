"""fanlight: the real fan-out and the GPU-seconds of every user action."""
