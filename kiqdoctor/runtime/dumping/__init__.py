"""What the threads of a process do and wait for, and when somebody is told."""
