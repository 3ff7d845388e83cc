"""What an inference request asks for and what its answer says, read from paths, bodies and bytes.

Everything here is pure: no I/O, no clock, no client library. `endpoints` says what is an inference request,
`formats` how each provider writes them, `request` and `body` read the two bodies, `events` and the framings
(`sse`, `lines`, `json_array`, `aws_stream`) a stream as its bytes pass, `outcome` says how it ended.
"""
