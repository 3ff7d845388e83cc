"""Rate cards from measured serving points: read, clean, fit, check on points that were left out."""
