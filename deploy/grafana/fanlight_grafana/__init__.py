"""fanlight's Grafana dashboards as code: `python -m fanlight_grafana` writes ../dashboards/*.json.

Built with Grafana's own typed builders (grafana-foundation-sdk, Python 3.11 or newer), so that an
option which Grafana does not know is an error here. Every query goes to a public view of fanlight_schema.
"""
