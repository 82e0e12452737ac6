"""How the local probe reads /proc: one file a thing that is read; whatever vanishes meanwhile was not there."""
