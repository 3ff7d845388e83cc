"""A small answer of every wire format, written by hand after its documentation, and what it says."""

import wire_examples_anthropic
import wire_examples_bedrock
import wire_examples_clouds
import wire_examples_engines
import wire_examples_google
import wire_examples_openai
import wire_examples_others

EXAMPLES = [
    *wire_examples_openai.EXAMPLES,
    *wire_examples_anthropic.EXAMPLES,
    *wire_examples_google.EXAMPLES,
    *wire_examples_bedrock.EXAMPLES,
    *wire_examples_engines.EXAMPLES,
    *wire_examples_others.EXAMPLES,
    *wire_examples_clouds.EXAMPLES,
]
