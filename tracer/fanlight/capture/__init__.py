"""What an inference request asks for and what its answer says, read from paths, bodies and bytes.

Everything here is pure: no I/O, no clock, no client library. `endpoints` says what is an inference request,
`request` and `answer` read the two bodies, `sse` reads a stream as its bytes pass, `outcome` says how it
ended.
"""
