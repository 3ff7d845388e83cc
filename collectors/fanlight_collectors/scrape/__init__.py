"""`fanlight scrape`: what inference engines and GPUs say of themselves, as samples in the store.

readings    the text of a metrics endpoint -> samples of its engine and its GPUs   (pure)
config      which endpoints, and what the operator knows of them                   (TOML)
loop        asks all of them in turn and hands the samples on
sinks       where samples go: a store, or a running `fanlight up`
nvml        the GPUs of this machine, without an exporter
"""
