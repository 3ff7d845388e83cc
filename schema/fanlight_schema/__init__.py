"""What tracer and collectors share: attribute names, the schema, the one place that opens ClickHouse.

Importing this package is cheap: ClickHouse is imported only by `fanlight_schema.store`.
"""
