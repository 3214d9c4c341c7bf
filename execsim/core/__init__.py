"""Values and rules of trading: no I/O, no await, standard library only."""
