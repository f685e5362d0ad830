"""Models of torch that run when rows are made: one file each."""
