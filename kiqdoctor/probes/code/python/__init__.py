"""Python's side of the index: modules, names, jobs and the call graph."""
