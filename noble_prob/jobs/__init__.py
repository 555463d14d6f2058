"""Long work: items over processes or a cluster, folders with one writer, files that are whole or not there."""
