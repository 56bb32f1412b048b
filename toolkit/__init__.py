"""Customer master data in; exactly what changed out; a record of what became of every row."""
