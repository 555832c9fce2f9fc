"""The vocabulary of Wharfinger: kinds, conditions, names, settings and the connection contract. Pure: no I/O, no clock, no randomness."""
