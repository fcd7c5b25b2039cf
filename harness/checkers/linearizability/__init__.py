"""Whether one order of the operations explains everything that was seen. Pure."""
