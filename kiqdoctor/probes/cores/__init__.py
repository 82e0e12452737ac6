"""What became of a process that left a core file: no probe of a check, for `kiqdoctor core` alone."""
