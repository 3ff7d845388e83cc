"""Lets one harmless SELECT through, judged by the parse tree that the engine itself makes of it.

    Guard(store).check("SELECT fanout_mean FROM fanout_by_action")     # returns
    Guard(store).check("SELECT * FROM file('/etc/passwd')")            # raises Refused

A pattern, or another program's parser, sees another statement than ClickHouse runs as soon as their grammars
differ. Hence ClickHouse parses: the statement goes in as a parameter value, never as SQL. What is not known
to be harmless is refused: kinds of nodes by an allow-list, functions by their category.
"""

from fanlight_collectors.sqlguard.guard import Guard
from fanlight_collectors.sqlguard.policy import Refused

__all__ = ["Guard", "Refused"]
