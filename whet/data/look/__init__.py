"""Looking at prepared data: rows, clusters, pairs, and where a text went. Reads files, writes to the terminal only."""
