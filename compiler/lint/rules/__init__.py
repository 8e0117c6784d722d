"""One rule per file; the file is called after its code."""
