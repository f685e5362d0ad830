"""Tables and ids turned into rows, in numpy alone."""
