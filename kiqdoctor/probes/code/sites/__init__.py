"""One kind of site a file: each reads its fact from the index, in both languages."""
