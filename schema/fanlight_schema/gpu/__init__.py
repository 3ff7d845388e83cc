"""GPU-seconds: which work a request is (features), what it costs (roofline, pricing), on what (catalogue)."""
