"""The receiving side of fanlight: OTLP receiver, command line."""
