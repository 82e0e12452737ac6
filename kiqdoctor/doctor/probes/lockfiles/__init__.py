"""How each kind of lock file, and an installed environment, names its packages."""
