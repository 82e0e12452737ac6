"""Ruby's side of the index: classes, jobs and the call graph."""
