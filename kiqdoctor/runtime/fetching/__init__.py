"""How jobs come from queues into a process and leave it again: the unit of work, its end, whose it is."""
